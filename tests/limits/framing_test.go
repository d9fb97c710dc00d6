package limits

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// malformed are streams that end a connection, with the error that redis-server 7.0.15
// gives, but for three where the guard is the stricter one (server/DESIGN.md): more than
// 1048576 arguments, a zero byte for a dollar, an argument without CRLF behind it.
var malformed = []struct{ in, want string }{
	{"*9223372036854775807\r\n", "invalid multibulk length"},
	{"*99999999999999999999\r\n", "invalid multibulk length"},
	{"*1048577\r\n", "invalid multibulk length"},
	{"*a\r\n", "invalid multibulk length"},
	{"*01\r\n", "invalid multibulk length"},
	{"*\r\n", "invalid multibulk length"},
	{"*1 \r\n", "invalid multibulk length"},
	{"*1\r\n$9223372036854775807\r\nabc", "invalid bulk length"},
	{"*1\r\n$-1\r\n", "invalid bulk length"},
	{"*1\r\n$-9223372036854775808\r\n", "invalid bulk length"},
	{"*1\r\n$536870913\r\n", "invalid bulk length"},
	{"*1\r\n$x\r\n", "invalid bulk length"},
	{"*1\r\nPING\r\n", "expected '$', got 'P'"},
	{"*2\r\n$3\r\nGET\r\n:1\r\n", "expected '$', got ':'"},
	{"*1\r\n\x00\r\n", "expected '$', got '\x00'"},
	{"*1\r\n$4\r\nPINGxxPING\r\n", "invalid bulk length"},
	{"*" + strings.Repeat("1", 70_000), "too big mbulk count string"},
	{"*1\r\n$" + strings.Repeat("1", 70_000), "too big bulk count string"},
	{strings.Repeat("a", 70_000), "too big inline request"},
	{"GET \"a\r\n", "unbalanced quotes in request"},
	{"GET 'a'b\r\n", "unbalanced quotes in request"},
}

func framing(t *testing.T, tg *target) {
	tg.attack(t, "malformed framing", everyday, func(t *testing.T) (string, string) {
		rounds := size(20, 500)
		for range rounds {
			for _, m := range malformed {
				c := dial(t, tg.leader.RESP)
				_, _ = c.Write([]byte(m.in)) // it may be closed in the middle
				got, err := c.rest()
				if want := "-ERR Protocol error: " + m.want + "\r\n"; err != nil || got != want {
					t.Fatalf("%.40q: got %q (%v), want %q", m.in, got, err, want)
				}
				c.Close()
			}
		}
		return fmt.Sprintf("%d kinds, %d times each", len(malformed), rounds), "Redis's error text, closed"
	})
	tg.attack(t, "nothing, as Redis takes it", everyday, func(t *testing.T) (string, string) {
		c := dial(t, tg.leader.RESP)
		const line = "*0\r\n*-1\r\n\r\n"
		n := size(100_000, 20_000_000) * len(line)
		if sent := c.flood([]byte(strings.Repeat(line, 1000)), n, patience); sent != n {
			t.Fatalf("%d bytes of %d were taken", sent, n)
		}
		c.roundTrip("*0\r\n*-1\r\n\r\n*1\r\n$4\r\nPING\r\n", "+PONG\r\n")
		return fmt.Sprintf("%d KB of *0, *-1 and empty lines", n/1000), "passed over"
	})
	tg.attack(t, "one byte at a time", everyday, func(t *testing.T) (string, string) {
		connections, length := size(20, 200), size(2000, 20_000)
		value := strings.Repeat("v", length)
		command := fmt.Sprintf("*3\r\n$3\r\nSET\r\n$4\r\nslow\r\n$%d\r\n%s\r\n", length, value)
		var work sync.WaitGroup
		for range connections {
			c := dial(t, tg.leader.RESP)
			work.Go(func() {
				for i := range len(command) - 1 {
					if _, err := c.Write([]byte{command[i]}); err != nil {
						t.Error(err)
						return
					}
				}
				if err := c.try(command[len(command)-1:], "+OK\r\n"); err != nil {
					t.Error(err)
				}
			})
		}
		work.Wait()
		return fmt.Sprintf("%d connections, a SET of %d bytes each", connections, len(command)), "+OK"
	})
	tg.attack(t, "half-open giant bulks", everyday, func(t *testing.T) (string, string) {
		connections := size(500, 5000)
		for i := range connections {
			c := dial(t, tg.leader.RESP)
			announced := []string{"$536870911", "$16000000", "$1"}[i%3]
			if _, err := c.Write([]byte("*1048576\r\n$3\r\nSET\r\n$1\r\nk\r\n" + announced + "\r\n")); err != nil {
				t.Fatal(err)
			}
		}
		return fmt.Sprintf("%d connections: *1048576, $536870911 or $16000000, then silence", connections), "waits"
	})
	tg.attack(t, "commands too large for the log", atMost(160), func(t *testing.T) (string, string) {
		length := size(100_000_000, 500_000_000)
		c := dial(t, tg.leader.RESP)
		if _, err := fmt.Fprintf(c, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", length); err != nil {
			t.Fatal(err)
		}
		if sent := c.flood(make([]byte, 1<<20), length, patience); sent != length {
			t.Fatalf("%d bytes of %d were taken", sent, length)
		}
		const want = "-ERR command exceeds the maximum size of 16777216 bytes\r\n"
		c.roundTrip("\r\n", want)
		c.roundTrip("PING\r\n", "+PONG\r\n")
		return fmt.Sprintf("a value of %d MB, sent whole", length/1_000_000), want[1 : len(want)-2]
	})
}
