// Package scripts holds the script corpus: what every command answers, written as
// a session with redis-cli, and recorded from a real Redis. One corpus has four
// runners: a Machine in memory, one node, three nodes whose leader changes and
// dies on the way, and the real Redis 7.0.15 itself.
//
// A script is a file GROUP/TOPIC.txt. It opens with comment lines that say what
// it shows, and goes on with steps, each a command line and below it the reply as
// redis-cli prints it, with a blank line between steps:
//
//	# SET stores a string, whatever was there before.
//
//	SET k v
//	OK
//
//	b> GET k
//	"v"
//
// The command line is split as redis-cli does it (quotes, \x00). Before it may stand
//
//	b>        the client that sends it; each is a connection of its own; a> if left out
//	!3, !2    the protocol that this client speaks from here on; 2 to begin with
//	@sorted   the order of elements is free: innermost arrays are sorted before comparing
//	@until    the command is repeated until the reply is the expected one (expiry)
//
// and as the reply may stand, instead of the text, for what depends on time or chance
//
//	~ \(integer\) 9\d   a regular expression (flag s), matched against the whole reply
//
// Comment lines of the form "# @word reason" at the top of a file say where it runs:
//
//	@session    needs a server (MULTI, CLIENT ...): not for the Machine in memory
//	@pinned     a connection's state is what it shows: no change of leader on the way
//	@cluster    recorded from a Redis in cluster mode
//	@since 7.2  written by hand, because the recorded Redis is older
//	@differs    we differ from Redis on purpose: written by hand, with the reason
//
// Each script begins with empty databases and new connections. The command
//
//	go test ./tests/scripts -rewrite
//
// records the replies, from the real Redis only, never from us. Patterns stay.
package scripts
