package server

import (
	"fmt"
	"strings"
	"time"
)

// OutputLimit bounds what may wait for a client of one class that does not read fast
// enough. It is closed at Hard bytes at once, and once it had Soft bytes or more for
// longer than Seconds; 0 is no limit.
type OutputLimit struct{ Hard, Soft, Seconds int64 }

// OutputLimits are client-output-buffer-limit. A reply is Normal's, a message that
// was not asked for PubSub's. Replica is Redis's class for replicas, which are no
// clients here: it is kept because tools set all three, and concerns nobody.
type OutputLimits struct{ Normal, Replica, PubSub OutputLimit }

// DefaultOutputLimits are Redis's.
var DefaultOutputLimits = OutputLimits{
	Replica: OutputLimit{256 << 20, 64 << 20, 60},
	PubSub:  OutputLimit{32 << 20, 8 << 20, 60},
}

// configError is a text of Redis's about a setting.
type configError string

func (e configError) Error() string { return string(e) }

// Source: redis/src/config.c:updateClientOutputBufferLimit.
const (
	errLimitWords  configError = "Wrong number of arguments in buffer limit configuration."
	errLimitClass  configError = "Invalid client class specified in buffer limit configuration."
	errLimitNumber configError = "Error in hard, soft or soft_seconds setting in buffer limit configuration."
)

// ParseOutputLimits reads classes with their limits, "normal 0 0 0 pubsub 32mb 8mb
// 60"; what it does not name stays as in before.
func ParseOutputLimits(text string, before OutputLimits) (OutputLimits, error) {
	words := strings.Fields(text)
	if len(words)%4 != 0 {
		return before, errLimitWords
	}
	after := before
	for ; len(words) > 0; words = words[4:] {
		var class *OutputLimit
		switch strings.ToLower(words[0]) {
		case "normal":
			class = &after.Normal
		case "slave", "replica":
			class = &after.Replica
		case "pubsub":
			class = &after.PubSub
		default:
			return before, errLimitClass
		}
		hard, ok := parseBytes(words[1])
		soft, also := parseBytes(words[2])
		seconds, too := parseLong([]byte(words[3]))
		if !ok || !also || !too || seconds < 0 {
			return before, errLimitNumber
		}
		*class = OutputLimit{hard, soft, seconds}
	}
	return after, nil
}

// String is the form of CONFIG GET.
func (l *OutputLimits) String() string {
	return fmt.Sprintf("normal %d %d %d slave %d %d %d pubsub %d %d %d",
		l.Normal.Hard, l.Normal.Soft, l.Normal.Seconds, l.Replica.Hard, l.Replica.Soft, l.Replica.Seconds,
		l.PubSub.Hard, l.PubSub.Soft, l.PubSub.Seconds)
}

// reached says whether so many bytes are too many at once.
func (l *OutputLimit) reached(n int) bool { return l.Hard > 0 && int64(n) >= l.Hard }

// patience is for how long so many bytes may wait; limited is false where for ever.
func (l *OutputLimit) patience(n int) (d time.Duration, limited bool) {
	if l.Soft == 0 || int64(n) < l.Soft {
		return 0, false
	}
	const most = 1 << 31 // seconds: more would overflow
	return time.Duration(min(l.Seconds, most)) * time.Second, true
}
