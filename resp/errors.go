package resp

import "strings"

// Error is an error reply as the client sees it, code word first, without the
// leading "-". Handlers return it as a Go error.
type Error string

func (e Error) Error() string { return string(e) }

// The texts are Redis's own (7.0 and 7.2).
const (
	ErrSyntax           Error = "ERR syntax error"
	ErrNotInteger       Error = "ERR value is not an integer or out of range"
	ErrNotFloat         Error = "ERR value is not a valid float"
	ErrOutOfRange       Error = "ERR index out of range"
	ErrOffsetRange      Error = "ERR offset is out of range"
	ErrOverflow         Error = "ERR increment or decrement would overflow"
	ErrNaNOrInf         Error = "ERR increment would produce NaN or Infinity"
	ErrDecrOverflow     Error = "ERR decrement would overflow"
	ErrNoSuchKey        Error = "ERR no such key"
	ErrSameObject       Error = "ERR source and destination objects are the same"
	ErrInvalidDB        Error = "ERR invalid DB index"
	ErrDBRange          Error = "ERR DB index is out of range"
	ErrInvalidCursor    Error = "ERR invalid cursor"
	ErrStringTooLong    Error = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	ErrWrongType        Error = "WRONGTYPE Operation against a key holding the wrong kind of value"
	ErrNoAuth           Error = "NOAUTH Authentication required."
	ErrWrongPass        Error = "WRONGPASS invalid username-password pair or user is disabled."
	ErrNoPassSet        Error = "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
	ErrNoProto          Error = "NOPROTO unsupported protocol version"
	ErrNestedMulti      Error = "ERR MULTI calls can not be nested"
	ErrExecWithoutMulti Error = "ERR EXEC without MULTI"
	ErrDiscardNoMulti   Error = "ERR DISCARD without MULTI"
	ErrWatchInMulti     Error = "ERR WATCH inside MULTI is not allowed"
	ErrExecAbort        Error = "EXECABORT Transaction discarded because of previous errors."
	ErrNoMultiCommand   Error = "ERR Command not allowed inside a transaction"
	ErrLoading          Error = "LOADING Redis is loading the dataset in memory"
)

// The errors that Redis does not have: what a replicated server adds. Those that
// clients resend by themselves (CLUSTERDOWN, TRYAGAIN, MOVED) are only ever given
// for a command that has certainly not been done.
const (
	ErrClusterDown Error = "CLUSTERDOWN The cluster has no leader"
	// ErrUnknown says that the command may or may not take effect. No client
	// resends it by itself.
	ErrUnknown Error = "UNKNOWN the outcome of this command is not known: it may or may not have been applied"
)

// WrongArity returns the error for a wrong number of arguments. name is the
// command's name in any case, "container|sub" for a subcommand.
func WrongArity(name string) Error {
	return Error("ERR wrong number of arguments for '" + strings.ToLower(name) + "' command")
}
