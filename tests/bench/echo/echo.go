// Package echo is a bare redcon server: it answers SET and GET without storing
// anything. What it reaches is the ceiling of a server that takes its requests
// through redcon. It knows nothing of ours.
package echo

import (
	"bytes"
	"strings"

	"github.com/tidwall/redcon"
)

// ValueSize is the length of every GET's reply in bytes.
const ValueSize = 64

// Serve answers on an address until the process ends.
func Serve(addr string) error {
	value := bytes.Repeat([]byte("x"), ValueSize)
	return redcon.ListenAndServe(addr, func(conn redcon.Conn, cmd redcon.Command) { answer(conn, cmd, value) },
		func(redcon.Conn) bool { return true }, nil)
}

func answer(conn redcon.Conn, cmd redcon.Command, value []byte) {
	switch strings.ToUpper(string(cmd.Args[0])) {
	case "SET":
		conn.WriteString("OK")
	case "GET":
		conn.WriteBulk(value)
	case "PING":
		conn.WriteString("PONG")
	default:
		conn.WriteError("ERR unknown command '" + string(cmd.Args[0]) + "'")
	}
}
