package server

import (
	"fmt"
	"strings"
	"testing"
)

// Replies recorded from redis-server 7.0.15.
func TestTransactions(t *testing.T) {
	const abort = "-EXECABORT Transaction discarded because of previous errors.\r\n"
	tests := []struct {
		name string
		in   []string
		want string
	}{
		{"empty", []string{"MULTI", "EXEC"}, "+OK\r\n*0\r\n"},
		{"writes", []string{"MULTI", "SET x y", "INCR x", "GET x", "EXEC"},
			"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n-ERR value is not an integer or out of range\r\n$1\r\ny\r\n"},
		{"reads", []string{"MULTI", "GET x", "EXISTS x", "EXEC"}, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$-1\r\n:0\r\n"},
		{"nested", []string{"MULTI", "MULTI", "SET a b", "EXEC", "EXEC"},
			"+OK\r\n-ERR MULTI calls can not be nested\r\n+QUEUED\r\n*1\r\n+OK\r\n-ERR EXEC without MULTI\r\n"},
		{"watch inside", []string{"MULTI", "WATCH a", "SET a b", "EXEC"},
			"+OK\r\n-ERR WATCH inside MULTI is not allowed\r\n+QUEUED\r\n*1\r\n+OK\r\n"},
		{"unknown command", []string{"MULTI", "FOO", "EXEC", "PING"},
			"+OK\r\n-ERR unknown command 'FOO', with args beginning with: \r\n" + abort + "+PONG\r\n"},
		{"wrong arity", []string{"MULTI", "SET a", "SET a 1", "EXEC", "GET a"},
			"+OK\r\n-ERR wrong number of arguments for 'set' command\r\n+QUEUED\r\n" + abort + "$-1\r\n"},
		{"wrong arity of EXEC", []string{"MULTI", "EXEC a", "PING", "EXEC"},
			"+OK\r\n-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n+PONG\r\n-ERR EXEC without MULTI\r\n"},
		{"wrong arity of DISCARD", []string{"MULTI", "DISCARD a", "EXEC"},
			"+OK\r\n-ERR wrong number of arguments for 'discard' command\r\n" + abort},
		{"not allowed", []string{"MULTI", "SYNC", "EXEC"}, "+OK\r\n-ERR Command not allowed inside a transaction\r\n" + abort},
		{"discard", []string{"MULTI", "SET a 1", "DISCARD", "GET a"}, "+OK\r\n+QUEUED\r\n+OK\r\n$-1\r\n"},
		{"reset", []string{"MULTI", "SET a 1", "RESET", "EXEC", "GET a"}, "+OK\r\n+QUEUED\r\n+RESET\r\n-ERR EXEC without MULTI\r\n$-1\r\n"},
		{"session commands are woven in", []string{"MULTI", "PING", "SET x 1", "ECHO e", "INCR x", "WAIT 1 0", "EXEC"},
			"+OK\r\n" + strings.Repeat("+QUEUED\r\n", 5) + "*5\r\n+PONG\r\n+OK\r\n$1\r\ne\r\n:2\r\n:0\r\n"},
		{"session commands alone", []string{"MULTI", "PING", "SELECT 99", "EXEC"},
			"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+PONG\r\n-ERR DB index is out of range\r\n"},
		{"session commands among reads", []string{"MULTI", "GET x", "PING", "EXEC"},
			"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$-1\r\n+PONG\r\n"},
		{"select holds on", []string{"MULTI", "SELECT 3", "SET x y", "EXEC", "GET x", "SELECT 0", "GET x"},
			"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n$1\r\ny\r\n+OK\r\n$-1\r\n"},
		{"writes in several databases", []string{"MULTI", "SET x 0", "SELECT 1", "SET x 1", "GET x", "SELECT 99", "GET x", "SELECT 0", "GET x", "SELECT 2", "EXEC", "GET x", "SELECT 1", "GET x"},
			"+OK\r\n" + strings.Repeat("+QUEUED\r\n", 9) + "*9\r\n+OK\r\n+OK\r\n+OK\r\n$1\r\n1\r\n-ERR DB index is out of range\r\n$1\r\n1\r\n+OK\r\n$1\r\n0\r\n+OK\r\n" +
				"$-1\r\n+OK\r\n$1\r\n1\r\n"},
		{"reads in several databases", []string{"SELECT 1", "SET x 1", "MULTI", "GET x", "SELECT 0", "GET x", "SELECT 1", "GET x", "EXEC"},
			"+OK\r\n+OK\r\n+OK\r\n" + strings.Repeat("+QUEUED\r\n", 5) + "*5\r\n$1\r\n1\r\n+OK\r\n$-1\r\n+OK\r\n$1\r\n1\r\n"},
		{"select of an aborted transaction", []string{"WATCH a", "SET a 0", "MULTI", "SELECT 1", "SET a 1", "EXEC", "GET a"},
			"+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*-1\r\n$1\r\n0\r\n"},
		{"select of a discarded transaction", []string{"SET a 0", "MULTI", "SELECT 1", "DISCARD", "GET a"},
			"+OK\r\n+OK\r\n+QUEUED\r\n+OK\r\n$1\r\n0\r\n"},
		{"select of a spoilt transaction", []string{"SET a 0", "MULTI", "SELECT 1", "FOO", "EXEC", "GET a"},
			"+OK\r\n+OK\r\n+QUEUED\r\n-ERR unknown command 'FOO', with args beginning with: \r\n" + abort + "$1\r\n0\r\n"},
		{"the next transaction starts in the database of the last", []string{"MULTI", "SELECT 1", "EXEC", "MULTI", "SET a 1", "EXEC", "SELECT 0", "GET a"},
			"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n+OK\r\n$-1\r\n"},
		{"what follows hello has its protocol", []string{"SET x y", "MULTI", "GET none", "HELLO 3", "GET none", "MGET x none", "HELLO 9", "GET none", "EXEC", "GET none"},
			"+OK\r\n+OK\r\n" + strings.Repeat("+QUEUED\r\n", 6) + "*6\r\n$-1\r\n" + hello3 + "_\r\n*2\r\n$1\r\ny\r\n_\r\n-NOPROTO unsupported protocol version\r\n_\r\n_\r\n"},
		{"what follows hello among writes has its protocol", []string{"MULTI", "GETDEL none", "HELLO 3", "GETDEL none", "EXEC", "GET none"},
			"+OK\r\n" + strings.Repeat("+QUEUED\r\n", 3) + "*3\r\n$-1\r\n" + hello3 + "_\r\n_\r\n"},
		{"hello of an aborted transaction", []string{"WATCH a", "SET a 0", "MULTI", "HELLO 3", "EXEC", "GET none"},
			"+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n$-1\r\n"},
		{"a hello with a wrong password", []string{"MULTI", "HELLO 3 AUTH nobody pw", "GET none", "EXEC", "GET none"},
			"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n-WRONGPASS invalid username-password pair or user is disabled.\r\n$-1\r\n$-1\r\n"},
		{"replies cannot be left out", []string{"MULTI", "CLIENT REPLY ON", "CLIENT REPLY OFF", "CLIENT REPLY SKIP", "CLIENT REPLY MAYBE", "EXEC", "PING"},
			"+OK\r\n" + strings.Repeat("+QUEUED\r\n", 4) + "*4\r\n+OK\r\n-ERR Command not allowed inside a transaction\r\n-ERR Command not allowed inside a transaction\r\n-ERR syntax error\r\n+PONG\r\n"},
		{"watch of nothing, flushed", []string{"WATCH a", "FLUSHALL", "MULTI", "PING", "EXEC"}, "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n"},
		{"hello holds on", []string{"MULTI", "HELLO 3", "EXEC", "GET none"}, "+OK\r\n+QUEUED\r\n*1\r\n" + hello3 + "_\r\n"},
		{"watch, unchanged", []string{"WATCH a b", "MULTI", "SET a 1", "EXEC"}, "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n"},
		{"watch, changed by itself", []string{"WATCH a", "SET a 1", "MULTI", "SET a 2", "PING", "EXEC", "GET a"},
			"+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*-1\r\n$1\r\n1\r\n"},
		{"watch of nothing, made and unmade", []string{"WATCH a", "SET a 1", "DEL a", "MULTI", "SET a 2", "EXEC"},
			"+OK\r\n+OK\r\n:1\r\n+OK\r\n+QUEUED\r\n*-1\r\n"},
		{"watch twice counts from the first", []string{"WATCH a", "SET a 1", "WATCH a", "MULTI", "GET a", "EXEC"},
			"+OK\r\n+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n"},
		{"watch and nothing queued", []string{"WATCH a", "SET a 1", "MULTI", "EXEC", "WATCH a", "MULTI", "EXEC"},
			"+OK\r\n+OK\r\n+OK\r\n*-1\r\n+OK\r\n+OK\r\n*0\r\n"},
		{"watch in another database", []string{"SELECT 1", "WATCH a", "SELECT 0", "SET a 1", "MULTI", "PING", "EXEC"},
			"+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n"},
		{"unwatch", []string{"WATCH a", "SET a 1", "UNWATCH", "MULTI", "GET a", "EXEC"},
			"+OK\r\n+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1\r\n"},
		{"discard unwatches", []string{"WATCH a", "SET a 1", "MULTI", "DISCARD", "MULTI", "GET a", "EXEC"},
			"+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1\r\n"},
		{"exec unwatches", []string{"WATCH a", "SET a 1", "MULTI", "EXEC", "MULTI", "EXEC"}, "+OK\r\n+OK\r\n+OK\r\n*-1\r\n+OK\r\n*0\r\n"},
		{"dirty beats watched", []string{"WATCH a", "SET a 1", "MULTI", "FOO", "EXEC"},
			"+OK\r\n+OK\r\n+OK\r\n-ERR unknown command 'FOO', with args beginning with: \r\n" + abort},
	}
	for _, tt := range tests {
		for _, together := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, together %v", tt.name, together), func(t *testing.T) {
				s := newTestServer(t)
				c := s.dial()
				if together {
					c.roundTrip(inline(tt.in...), tt.want)
					return
				}
				for _, line := range tt.in {
					c.send(line + "\r\n")
				}
				c.expect(tt.want)
			})
		}
	}
}

func TestTransactionTooLarge(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.MaxCommand = 2000 })
	value := strings.Repeat("x", 900)
	s.dial().roundTrip(inline("MULTI", "SET a "+value, "SET b "+value, "SET c "+value, "EXEC"),
		"+OK\r\n+QUEUED\r\n+QUEUED\r\n-ERR command exceeds the maximum size of 2000 bytes\r\n-EXECABORT Transaction discarded because of previous errors.\r\n")
}

// Another client's write between WATCH and EXEC stops a transaction.
func TestWatchAgainstAnother(t *testing.T) {
	s := newTestServer(t)
	a, b := s.dial(), s.dial()
	for _, tt := range []struct{ other, reply, exec string }{
		{"SET j 1", "+OK\r\n", "*1\r\n:2\r\n"},
		{"SET k 1", "+OK\r\n", "*-1\r\n"},
		{"DEL k", ":1\r\n", "*-1\r\n"},
		{"FLUSHALL", "+OK\r\n", "*-1\r\n"},
	} {
		a.roundTrip(inline("SET k 1", "WATCH k"), "+OK\r\n+OK\r\n")
		b.roundTrip(tt.other+"\r\n", tt.reply)
		a.roundTrip(inline("MULTI", "INCR k", "EXEC"), "+OK\r\n+QUEUED\r\n"+tt.exec)
	}
}

// A key whose time has come by the leader's clock is watched as an absent one, also
// where the log does not say yet that it is due.
func TestWatchOfWhatIsDue(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	c.roundTrip(inline("SET k v PX 20"), "+OK\r\n")
	s.fake.set(func(f *fake) { f.now += 30 })
	c.roundTrip(inline("WATCH k", "MULTI", "PING", "EXEC"), "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n")
}
