package server

import "testing"

// TestChangedMeanwhileLeader: a node that has become leader while another one logged its
// client's change still waits until it has the change itself; who leads has it already.
func TestChangedMeanwhileLeader(t *testing.T) {
	for _, line := range [][]string{
		{"CONFIG", "SET", "hash-max-listpack-entries", "7"}, {"CONFIG", "SET", "requirepass", "x"}, {"ACL", "SETUSER", "bob", "on"},
	} {
		leader, here := newTestServer(t), newTestServer(t)
		here.fake.set(func(f *fake) { f.forward = leader.Server })
		if got := localDo(t, here, line...); got != "+OK\r\n" {
			t.Errorf("%v: %q", line, got)
		}
		here.fake.set(func(f *fake) {
			if f.followers == 0 {
				t.Errorf("%v: nobody waited for the change", line)
			}
		})
		if got := localDo(t, leader, line...); got != "+OK\r\n" {
			t.Errorf("%v: %q", line, got)
		}
		leader.fake.set(func(f *fake) {
			if f.followers != 0 {
				t.Errorf("%v: the leader waited for what it had applied", line)
			}
		})
	}
}
