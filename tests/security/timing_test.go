package security

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// guess is one of the ways in which a name or a password can be wrong.
type guess struct{ name, user, password string }

// guesses are those for a user and its password. The first two are what the others are
// compared with: how far those are apart is chance.
func guesses(user, password string) []guess {
	other := strings.Map(func(r rune) rune { return 'a' + (r-'a'+1)%26 }, password) // no character is right
	half := len(password) / 2
	return []guess{
		{"wrong password", user, other},
		{"wrong password again", user, other[1:] + other[:1]},
		{"right first half", user, password[:half] + other[half:]},
		{"all but one character right", user, password[:len(password)-1] + other[len(password)-1:]},
		{"no such user", strings.Repeat("x", len(user)), password},
		{"a user that is off, right password", "off-" + user, password},
	}
}

// Two guesses whose answers take times that differ by less than this are alike. With
// passwords of these lengths a hash that is left out is 30 % for AUTH and 7 % for HTTP.
const alike = 0.03

// TestAnswersTakeTheSameTime: how long an answer takes tells neither whether the name
// exists nor how much of the password is right. Passwords are so long that hashing and
// comparing them is much of the work; tries are interleaved, and of each kind the time that
// a quarter of its tries kept is taken, which load from outside hardly moves. Chance may
// do that all the same, so a difference counts only if it is there in each of five series.
func TestAnswersTakeTheSameTime(t *testing.T) {
	n := proc.NewNode(t, "node1").Start().WaitReady(patience)
	long := func(size int) string {
		rnd := rand.New(rand.NewPCG(3, uint64(size)))
		b := make([]byte, size)
		for i := range b {
			b[i] = 'a' + byte(rnd.IntN(26))
		}
		return string(b)
	}
	redis, web := long(15_000), long(45_000) // below the limits for strangers: 16 KiB, and 64 KiB of headers
	for user, password := range map[string]string{"redis": redis, "web": web} {
		n.MustDo("ACL", "SETUSER", user, "on", ">"+password, "+@all", "~*")
		n.MustDo("ACL", "SETUSER", "off-"+user, "off", ">"+password, "+@all", "~*")
	}
	alone(t, "timing", "AUTH", func(t *testing.T) (string, string) {
		c := bufio.NewReadWriter(both(connect(t, n.RESP)))
		return compare(t, 250, guesses("redis", redis), func(g guess) {
			say(t, c, strings.Repeat(line("AUTH", g.user, g.password), burst))
			for range burst {
				if got, err := c.ReadString('\n'); got != wrongPass {
					t.Fatalf("%s: %q, %v", g.name, got, err)
				}
			}
		})
	})
	alone(t, "timing", "HTTP Basic", func(t *testing.T) (string, string) {
		c := bufio.NewReadWriter(both(connect(t, n.HTTP)))
		return compare(t, 150, guesses("web", web), func(g guess) {
			basic := base64.StdEncoding.EncodeToString([]byte(g.user + ":" + g.password))
			say(t, c, strings.Repeat("GET /key/k HTTP/1.1\r\nHost: x\r\nAuthorization: Basic "+basic+"\r\n\r\n", burst))
			for range burst {
				res, err := http.ReadResponse(c.Reader, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				if res.StatusCode != http.StatusUnauthorized {
					t.Fatalf("%s: %s", g.name, res.Status)
				}
			}
		})
	})
}

func both(c io.ReadWriter) (*bufio.Reader, *bufio.Writer) {
	return bufio.NewReader(c), bufio.NewWriter(c)
}

func say(t *testing.T, c *bufio.ReadWriter, text string) {
	t.Helper()
	_, err := c.WriteString(text)
	if err == nil {
		err = c.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
}

const (
	burst  = 8 // tries that are timed together
	series = 5
)

// compare times so many rounds of one burst of each guess. It fails if one of them is slower than
// both of the first two in each of several series, or faster in each; a series counts with those before it.
func compare(t *testing.T, rounds int, all []guess, try func(guess)) (tried, did string) {
	rnd := rand.New(rand.NewPCG(1, 2))
	slower, faster := make([]int, len(all)), make([]int, len(all))
	tried = fmt.Sprintf("%d kinds of wrong, interleaved, passwords of %d characters: ", len(all), len(all[0].password))
	times := make([][]time.Duration, len(all))
	for n := 1; n <= series; n++ {
		quarter := timed(times, rounds, rnd, func(i int) { try(all[i]) })
		suspect := false
		var list []string
		for i, q := range quarter {
			switch low, high := min(quarter[0], quarter[1]), max(quarter[0], quarter[1]); {
			case float64(q) >= float64(high)*(1+alike):
				slower[i]++
			case float64(q) <= float64(low)*(1-alike):
				faster[i]++
			}
			off := float64(q)/float64(quarter[0]) - 1
			suspect = suspect || max(slower[i], faster[i]) == n
			list = append(list, fmt.Sprintf("%s %+.1f %%", all[i].name, 100*off))
		}
		did = fmt.Sprintf("%s: %s", quarter[0].Round(100*time.Nanosecond), strings.Join(list[1:], ", "))
		t.Log(did)
		if !suspect {
			return tried + fmt.Sprintf("%d tries", n*rounds*burst*len(all)), "one answer, after " + did
		}
	}
	t.Errorf("in each of %d series the time tells what is wrong: %s", series, did)
	return tried, did
}

// timed adds to the times of each guess and returns what a quarter of its tries kept.
func timed(times [][]time.Duration, rounds int, rnd *rand.Rand, try func(i int)) (quarter []time.Duration) {
	for range rounds {
		for _, i := range rnd.Perm(len(times)) {
			begin := time.Now()
			try(i)
			times[i] = append(times[i], time.Since(begin)/burst)
		}
	}
	for _, one := range times {
		slices.Sort(one)
		quarter = append(quarter, one[len(one)/4])
	}
	return quarter
}
