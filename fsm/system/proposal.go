package system

import "github.com/raftkv/raftkv/fsm/entry"

// The words of an entry, for those who make proposals and never see the binary form.
type (
	Command = entry.Command
	Watch   = entry.Watch
	// Content is what of a proposal goes into the log.
	Content = entry.Proposal
)

// Proposal is an entry.Proposal on its way: with the protocol of its reply and
// the function that is told the outcome.
type Proposal struct {
	entry.Proposal
	// Proto is the RESP version of the reply, 2 or 3.
	Proto int
	// Done is called exactly once, from a goroutine that must not be blocked:
	// with the replies of all commands, one after the other, in RESP form (valid
	// only during the call), or with one of this package's errors. After
	// ErrUnknownOutcome the proposal may or may not take effect; after every
	// other error it certainly does not.
	Done func(reply []byte, err error)
}
