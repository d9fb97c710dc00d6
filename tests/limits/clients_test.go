package limits

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

func readers(t *testing.T, tg *target) {
	large := dial(t, tg.leader.RESP)
	large.roundTrip("SETRANGE large 999999 x\r\n", ":1000000\r\n")
	large.roundTrip("SETRANGE medium 9999 x\r\n", ":10000\r\n")
	tg.attack(t, "pipelines never read back", atMost(192), func(t *testing.T) (string, string) {
		connections, total := size(10, 100), size(1<<26, 1<<30)
		block := []byte(strings.Repeat("GET medium\r\n", 10_000))
		sent := make(chan int)
		for range connections {
			c := dial(t, tg.leader.RESP)
			go func() { sent <- c.flood(block, total/connections, time.Second) }()
		}
		taken := 0
		for range connections {
			taken += <-sent
		}
		if taken >= total {
			t.Errorf("all of %d bytes were taken", total)
		}
		return fmt.Sprintf("%d MiB on %d connections", total>>20, connections),
			fmt.Sprintf("reads no more after %d KiB each", taken/connections>>10)
	})
	tg.attack(t, "a pipeline read back slowly", atMost(128), func(t *testing.T) (string, string) {
		total := size(1<<24, 1<<28) / 6 * 6
		c := dial(t, tg.leader.RESP)
		go c.flood([]byte(strings.Repeat("PING\r\n", 10_000)), total, patience)
		pongs, buf := 0, make([]byte, 64<<10)
		for want := total / 6 * len("+PONG\r\n"); pongs < want; {
			_ = c.SetReadDeadline(time.Now().Add(patience))
			n, err := c.Read(buf)
			if pongs += n; err != nil {
				t.Fatalf("after %d bytes of %d: %v", pongs, want, err)
			}
		}
		return fmt.Sprintf("%d MiB of PING without a pause", total>>20), "every reply"
	})
	tg.attack(t, "stuck readers over the limit", atMost(size(256, 800)), func(t *testing.T) (string, string) {
		large.roundTrip("CONFIG SET client-output-buffer-limit \"normal 32mb 1mb 1\"\r\n", "+OK\r\n")
		connections := size(4, 20)
		for range connections {
			c := dial(t, tg.leader.RESP)
			if _, err := c.Write([]byte(strings.Repeat("GET large\r\n", 16))); err != nil {
				t.Fatal(err)
			}
		}
		const line = "overcoming of output buffer limits"
		proc.Eventually(t, patience, "the stuck readers are cut", func() error {
			if n := logged(t, tg.leader, line); n != connections {
				return fmt.Errorf("%d of %d", n, connections)
			}
			return nil
		})
		large.roundTrip("CONFIG SET client-output-buffer-limit \"normal 0 0 0\"\r\n", "+OK\r\n")
		return fmt.Sprintf("%d that asked for 16 MB and read none; soft limit 1mb for 1 s", connections), "cut, with Redis's line in the log"
	})
	tg.attack(t, "client-query-buffer-limit", everyday, func(t *testing.T) (string, string) {
		large.roundTrip("CONFIG SET client-query-buffer-limit 1mb\r\n", "+OK\r\n")
		connections := size(20, 200)
		for range connections {
			c := dial(t, tg.leader.RESP)
			_, _ = c.Write([]byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$15000000\r\n"))
			if sent := c.flood(make([]byte, 64<<10), 15_000_000, patience); sent > 12_000_000 {
				t.Errorf("%d bytes were taken", sent)
			}
			if got, err := c.rest(); got != "" || err != nil {
				t.Errorf("got %q, %v, want the end", got, err)
			}
		}
		large.roundTrip("CONFIG SET client-query-buffer-limit 1gb\r\n", "+OK\r\n")
		return fmt.Sprintf("%d commands of 15 MB at a limit of 1mb", connections), "closed, as in Redis"
	})
	tg.attack(t, "timeout", everyday, func(t *testing.T) (string, string) {
		idle := dial(t, tg.leader.RESP)
		idle.roundTrip("PING\r\n", "+PONG\r\n")
		large.roundTrip("CONFIG SET timeout 1\r\n", "+OK\r\n")
		begin := time.Now()
		got, err := idle.rest()
		if took := time.Since(begin); got != "" || err != nil || took > 10*time.Second {
			t.Errorf("an idle client: %q, %v, after %s", got, err, took)
		}
		large = dial(t, tg.leader.RESP)
		large.roundTrip("CONFIG SET timeout 0\r\n", "+OK\r\n")
		return "idle since before CONFIG SET timeout 1", "closed after 1 s"
	})
}

// memory fills a cluster to its maxmemory with many clients at once.
func memory(t *testing.T, tg *target) {
	limit := size(32, 512) << 20
	tg.attack(t, "maxmemory", bounds{memory: size(256, 1800), p99: 2 * time.Second, reads: true}, func(t *testing.T) (string, string) {
		admin := dial(t, tg.leader.RESP)
		admin.roundTrip(fmt.Sprintf("CONFIG SET maxmemory %d\r\n", limit), "+OK\r\n")
		const clients, length = 16, 100_000
		value := strings.Repeat("v", length)
		ended := make(chan error)
		for i := range clients {
			c := dial(t, tg.leader.RESP)
			go func() {
				for j := 0; ; j++ {
					key := fmt.Sprintf("fill:%d:%d", i, j)
					err := c.try(fmt.Sprintf("*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(key), key, length, value), "+OK\r\n")
					if err != nil {
						ended <- err
						return
					}
				}
			}()
		}
		for range clients {
			if err := <-ended; !strings.Contains(err.Error(), "-OOM") {
				t.Error(err)
			}
		}
		const oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n"
		// The last of those that were under way may have left some room.
		proc.Eventually(t, patience, "memory is full", func() error { return admin.try("APPEND fill:0:0 "+strings.Repeat("x", 50_000)+"\r\n", oom) })
		used := dataset(t, tg.leader)
		if used <= limit || used > limit+2*length {
			t.Errorf("%d bytes are used at a limit of %d", used, limit)
		}
		admin.roundTrip("STRLEN fill:1:0\r\n", ":100000\r\n")
		admin.roundTrip("DEL fill:0:0 fill:1:0 fill:2:0 fill:3:0\r\n", ":4\r\n")
		admin.roundTrip("SET room again\r\n", "+OK\r\n")
		admin.roundTrip("CONFIG SET maxmemory 0\r\n", "+OK\r\n")
		return fmt.Sprintf("%d clients write until OOM at %d MiB", clients, limit>>20),
			fmt.Sprintf("OOM %d KiB above it; reads and DEL go on", (used-limit)>>10)
	})
	tg.leader.MustDo("FLUSHALL")
}

// dataset is what INFO says that keys and values take.
func dataset(t *testing.T, n *proc.Node) (bytes int) {
	t.Helper()
	info, _ := n.MustDo("INFO", "memory").(string)
	_, after, ok := strings.Cut(info, "used_memory_dataset:")
	if _, err := fmt.Sscan(after, &bytes); !ok || err != nil {
		t.Fatalf("INFO memory: %v", err)
	}
	return bytes
}
