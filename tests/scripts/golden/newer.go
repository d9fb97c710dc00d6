package golden

import (
	_ "embed"
	"strings"
)

//go:embed commands-7.2.txt
var commands72 string

// Names72 are the names of all commands of Redis 7.2, "client|kill" for a subcommand,
// as its documentation has them: 242, and 392 with subcommands. Those of SENTINEL are
// among them, which only a sentinel knows.
func Names72() []string { return strings.Fields(commands72) }
