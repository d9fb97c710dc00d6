package server
import ("testing";"net";"time";"github.com/raftkv/raftkv/fsm")
func TestZZ(t *testing.T) {
	m := fsm.New()
	_ = m
	f := newFake(t)
	s := New(Options{NodeID: "node1"}, f, f.machine)
	ln, _ := net.Listen("tcp", "127.0.0.1:7790")
	go s.Serve(ln)
	time.Sleep(25*time.Second)
}
