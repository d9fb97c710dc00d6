package resp

import (
	"fmt"
	"strconv"
	"strings"
)

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
	ErrOOM              Error = "OOM command not allowed when used memory > 'maxmemory'."
	ErrLoading          Error = "LOADING Redis is loading the dataset in memory"
)

// The errors that Redis does not have: what a replicated server adds. Those that
// clients resend by themselves (CLUSTERDOWN, TRYAGAIN, MOVED) are only ever given
// for a command that has certainly not been done.
const (
	ErrClusterDown Error = "CLUSTERDOWN The cluster has no leader"
	// ErrDiskFull says that nothing was done. Redis, too, refuses writes with MISCONF
	// while its disk takes none.
	ErrDiskFull Error = "MISCONF No space is left on the disks of the cluster: writes are refused until there is, reads go on"
	// ErrReplyTooLong stands for a reply that Redis would go on with until its memory is
	// used up.
	ErrReplyTooLong Error = "ERR the reply would be longer than 512 MB"
	// ErrUnknown says that the command may or may not take effect. No client
	// resends it by itself.
	ErrUnknown Error = "UNKNOWN the outcome of this command is not known: it may or may not have been applied"
)

// WrongArity returns the error for a wrong number of arguments. name is the
// command's name in any case, "container|sub" for a subcommand.
func WrongArity(name string) Error {
	return Error("ERR wrong number of arguments for '" + strings.ToLower(name) + "' command")
}

// The error texts of single data commands.
const (
	ErrExpireNX        Error = "ERR NX and XX, GT or LT options at the same time are not compatible"
	ErrExpireGTLT      Error = "ERR GT and LT options at the same time are not compatible"
	ErrSwapFirst       Error = "ERR invalid first DB index"
	ErrSwapSecond      Error = "ERR invalid second DB index"
	ErrIntRange        Error = "ERR value is out of range, value must between -2147483648 and 2147483647"
	ErrNoLFU           Error = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
	ErrLCSNotStrings   Error = "ERR The specified keys must contain string values"
	ErrLCSLenAndIdx    Error = "ERR If you want both the length and indexes, please just use IDX."
	ErrHashNotInteger  Error = "ERR hash value is not an integer"
	ErrHashNotFloat    Error = "ERR hash value is not a float"
	ErrValueNaNOrInf   Error = "ERR value is NaN or Infinity"
	ErrValueRange      Error = "ERR value is out of range"
	ErrLongRange       Error = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
	ErrNoFields        Error = "ERR Mandatory argument FIELDS is missing or not at the right position"
	ErrFieldCount      Error = "ERR The `numfields` parameter must match the number of arguments"
	ErrFieldsAboveZero Error = "ERR Parameter `numFields` should be greater than 0"
	ErrFieldsPositive  Error = "ERR Number of fields must be a positive integer"
	ErrExpireNegative  Error = "ERR invalid expire time, must be >= 0"
	ErrLCSMemory       Error = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
	ErrBitOffset       Error = "ERR bit offset is not an integer or out of range"
	ErrBitValue        Error = "ERR bit is not an integer or out of range"
	ErrBitArgument     Error = "ERR The bit argument must be 1 or 0."
	ErrBitOpNot        Error = "ERR BITOP NOT must be called with a single source key."
	ErrBitfieldType    Error = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
	ErrBitfieldRO      Error = "ERR BITFIELD_RO only supports the GET subcommand"
	ErrOverflowType    Error = "ERR Invalid OVERFLOW type specified"
	ErrNotHLL          Error = "WRONGTYPE Key is not a valid HyperLogLog string value."
	ErrCorruptHLL      Error = "INVALIDOBJ Corrupted HLL object detected"
	ErrNoSuchHLL       Error = "ERR The specified key does not exist"
	ErrHLLNotSparse    Error = "ERR HLL encoding is not sparse"
	ErrNotPositive     Error = "ERR value is out of range, must be positive"
	ErrNumKeys         Error = "ERR numkeys should be greater than 0"
	ErrTooManyKeys     Error = "ERR Number of keys can't be greater than number of args"
	ErrLimitNegative   Error = "ERR LIMIT can't be negative"
	ErrBusyKey         Error = "BUSYKEY Target key name already exists."
	ErrRestoreTTL      Error = "ERR Invalid TTL value, must be >= 0"
	ErrRestoreIdle     Error = "ERR Invalid IDLETIME value, must be >= 0"
	ErrRestoreFreq     Error = "ERR Invalid FREQ value, must be >= 0 and <= 255"
	ErrPayload         Error = "ERR DUMP payload version or checksum are wrong"
	ErrBadFormat       Error = "ERR Bad data format"
	ErrNotSDS          Error = "ERR Not an sds encoded string."
	ErrNotHashTable    Error = "ERR The value stored at the specified key is not represented using an hash table"
	ErrDebugDB         Error = "ERR Out of range database"
)

// The error texts of sorted sets.
const (
	ErrScoreRange    Error = "ERR min or max is not a float"
	ErrLexRange      Error = "ERR min or max not valid string range item"
	ErrScoreNaN      Error = "ERR resulting score is not a number (NaN)"
	ErrZAddNXXX      Error = "ERR XX and NX options at the same time are not compatible"
	ErrZAddGTLTNX    Error = "ERR GT, LT, and/or NX options at the same time are not compatible"
	ErrZAddIncr      Error = "ERR INCR option supports a single increment-element pair"
	ErrWeight        Error = "ERR weight value is not a float"
	ErrRangeLimit    Error = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
	ErrLexScores     Error = "ERR syntax error, WITHSCORES not supported in combination with BYLEX"
	ErrCount         Error = "ERR count should be greater than 0"
	ErrTimeoutFloat  Error = "ERR timeout is not a float or out of range"
	ErrTimeoutBelow0 Error = "ERR timeout is negative"
)

// The error texts of geo commands.
const (
	ErrGeoMember   Error = "ERR could not decode requested zset member"
	ErrGeoRadius   Error = "ERR need numeric radius"
	ErrGeoWidth    Error = "ERR need numeric width"
	ErrGeoHeight   Error = "ERR need numeric height"
	ErrGeoNegative Error = "ERR radius cannot be negative"
	ErrGeoBox      Error = "ERR height or width cannot be negative"
	ErrGeoUnit     Error = "ERR unsupported unit provided. please use M, KM, FT, MI"
	ErrGeoCount    Error = "ERR COUNT must be > 0"
	// WITH... where the result is stored, by GEOSEARCHSTORE and by GEORADIUS.
	ErrGeoSearchStoreWith Error = "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
	ErrGeoStoreWith       Error = "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"

	ErrGeoAny Error = "ERR the ANY argument requires COUNT argument"
)

// NoInputKeys returns the error for a number of keys below one. name is the command's
// name in any case.
func NoInputKeys(name string) Error {
	return Error("ERR at least 1 input key is needed for '" + strings.ToLower(name) + "' command")
}

// ExactlyOne returns the error of GEOSEARCH and GEOSEARCHSTORE for an area that lacks
// something. name is the command's name as the client wrote it.
func ExactlyOne(what string, name []byte) Error {
	text, _, _ := strings.Cut(string(name), "\x00")
	return Error("ERR exactly one of " + what + " can be specified for " + text)
}

// The error texts of lists, and of SORT.
const (
	ErrRankZero     Error = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list"
	ErrCountBelow0  Error = "ERR COUNT can't be negative"
	ErrMaxLenBelow0 Error = "ERR MAXLEN can't be negative"
	ErrSortScores   Error = "ERR One or more scores can't be converted into double"
)

// SortDenied returns the error for an option of SORT that names keys by a pattern, for
// a user who may not read all keys. option is BY or GET.
func SortDenied(option string) Error {
	return Error("ERR " + option + " option of SORT denied due to insufficient ACL permissions.")
}

// The error texts of streams.
const (
	ErrStreamID          Error = "ERR Invalid stream ID specified as stream command argument"
	ErrStreamIDZero      Error = "ERR The ID specified in XADD must be greater than 0-0"
	ErrStreamIDSmall     Error = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
	ErrStreamExhausted   Error = "ERR The stream has exhausted the last possible ID, unable to add more items"
	ErrStreamTooLarge    Error = "ERR Elements are too large to be stored"
	ErrStreamStart       Error = "ERR invalid start ID for the interval"
	ErrStreamEnd         Error = "ERR invalid end ID for the interval"
	ErrTrimBoth          Error = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
	ErrTrimMaxLen        Error = "ERR The MAXLEN argument must be >= 0."
	ErrTrimLimit         Error = "ERR The LIMIT argument must be >= 0."
	ErrTrimLimitAlone    Error = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
	ErrTrimNothing       Error = "ERR syntax error, XTRIM must be called with a trimming strategy"
	ErrTrimLimitExact    Error = "ERR syntax error, LIMIT cannot be used without the special ~ option"
	ErrXSetIDTop         Error = "ERR The ID specified in XSETID is smaller than the target stream top item"
	ErrXSetIDLength      Error = "ERR The entries_added specified in XSETID is smaller than the target stream length"
	ErrXSetIDAdded       Error = "ERR entries_added must be positive"
	ErrXSetIDDeleted     Error = "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
	ErrReadUnbalanced    Error = "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
	ErrReadGroup         Error = "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead."
	ErrReadNoAck         Error = "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead."
	ErrReadNoGroup       Error = "ERR Missing GROUP option for XREADGROUP"
	ErrReadNew           Error = "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
	ErrReadLast          Error = "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set."
	ErrTimeoutInt        Error = "ERR timeout is not an integer or out of range"
	ErrGroupNoKey        Error = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically."
	ErrGroupBusy         Error = "BUSYGROUP Consumer Group name already exists"
	ErrGroupRead         Error = "ERR value for ENTRIESREAD must be positive or -1"
	ErrClaimIdle         Error = "ERR Invalid min-idle-time argument for XCLAIM"
	ErrClaimIdleOption   Error = "ERR Invalid IDLE option argument for XCLAIM"
	ErrClaimTimeOption   Error = "ERR Invalid TIME option argument for XCLAIM"
	ErrClaimRetryOption  Error = "ERR Invalid RETRYCOUNT option argument for XCLAIM"
	ErrAutoClaimIdle     Error = "ERR Invalid min-idle-time argument for XAUTOCLAIM"
	ErrAutoClaimCount    Error = "ERR COUNT must be > 0"
	ErrAutoClaimTooLarge Error = "ERR Insufficient memory, failed allocating transient memory, COUNT too high."
)

// NoGroup returns the error for a consumer group that is not there, or whose key is not.
// XREADGROUP and XINFO have texts of their own.
func NoGroup(key, group []byte) Error {
	return Error("NOGROUP No such key '" + untilNUL(key) + "' or consumer group '" + untilNUL(group) + "'")
}

// NoGroupToRead returns NoGroup's error for XREADGROUP.
func NoGroupToRead(key, group []byte) Error {
	return NoGroup(key, group) + " in XREADGROUP with GROUP option"
}

// NoGroupInKey returns the error for a consumer group that a stream doesn't have.
func NoGroupInKey(key, group []byte) Error {
	return Error("NOGROUP No such consumer group '" + untilNUL(group) + "' for key name '" + untilNUL(key) + "'")
}

// UnknownClaimOption returns XCLAIM's error for a word that is no option.
func UnknownClaimOption(word []byte) Error {
	return Error("ERR Unrecognized XCLAIM option '" + untilNUL(word) + "'")
}

// untilNUL is what C's "%s" shows of a word.
func untilNUL(word []byte) string { return clip(word, len(word)) }

// InvalidExpire returns the error for an expiry time that is not positive where
// it must be, or that overflows. name is the command's name in any case.
func InvalidExpire(name string) Error {
	return Error("ERR invalid expire time in '" + strings.ToLower(name) + "' command")
}

// Errorf formats an error reply; the code word stands first in format.
func Errorf(format string, args ...any) Error { return Error(fmt.Sprintf(format, args...)) }

// longestQuote is how much of a client's words Redis repeats in an error.
const longestQuote = 128

// UnknownCommand returns the error for a command line whose name is not known.
// It quotes the name and as many arguments as fit 128 bytes, each followed by a
// space. Source: redis/src/server.c:commandCheckExistence (7.0).
func UnknownCommand(args [][]byte) Error {
	var quoted strings.Builder
	for _, arg := range args[1:] {
		if quoted.Len() >= longestQuote {
			break
		}
		quoted.WriteString("'" + clip(arg, longestQuote-quoted.Len()) + "' ")
	}
	return Error("ERR unknown command '" + clip(args[0], longestQuote) + "', with args beginning with: " + quoted.String())
}

// UnknownSubcommand returns the error for a container's second word that is not
// known; both words are as the client wrote them.
func UnknownSubcommand(container, sub []byte) Error {
	return Error("ERR unknown subcommand '" + clip(sub, longestQuote) + "'. Try " + strings.ToUpper(clip(container, longestQuote)) + " HELP.")
}

// UnknownPFDebug returns the error for a word that PFDEBUG does not know.
func UnknownPFDebug(word []byte) Error {
	return Error("ERR Unknown PFDEBUG subcommand '" + clip(word, len(word)) + "'")
}

// SubcommandSyntax returns the error of a subcommand that was given the wrong
// arguments. Source: redis/src/networking.c:addReplySubcommandSyntaxError.
func SubcommandSyntax(container, sub []byte) Error {
	return Error("ERR unknown subcommand or wrong number of arguments for '" + clip(sub, longestQuote) + "'. Try " +
		strings.ToUpper(clip(container, longestQuote)) + " HELP.")
}

// clip returns at most n bytes of a word, and none from a zero byte on, as C's
// "%.*s" does.
func clip(word []byte, n int) string {
	if len(word) > n {
		word = word[:n]
	}
	text, _, _ := strings.Cut(string(word), "\x00")
	return text
}

// Moved returns the redirection of a slot to addr, "host:port".
func Moved(slot int, addr string) Error {
	return Error("MOVED " + strconv.Itoa(slot) + " " + addr)
}
