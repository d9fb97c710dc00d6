package transport

import (
	"errors"
	"fmt"
)

var (
	// ErrNotSent is found by errors.Is in every error after which the request
	// certainly reached no handler.
	ErrNotSent = errors.New("request not sent")
	// ErrUnknownPeer: Resolve knows no address for this id.
	ErrUnknownPeer = errors.New("no address known")
	// ErrSelf: the call is to this node itself.
	ErrSelf = errors.New("a node does not call itself")
	// ErrConnLost: the connection ended, or was given up as stuck, while the call was out.
	ErrConnLost = errors.New("connection lost")
	// ErrTooLarge: the request is larger than MaxMessage.
	ErrTooLarge = errors.New("message too large")
	// ErrBusy: too much is under way on the connection, here or on the other side.
	ErrBusy = errors.New("too many calls under way")
	// ErrUnknownKind: the other side has no handler for this kind.
	ErrUnknownKind = errors.New("no handler for this kind of call")
	// ErrMembersOnly: the kind is not open to strangers.
	ErrMembersOnly = errors.New("call is open to members only")
	// ErrClosed: this Transport is closed.
	ErrClosed = errors.New("transport closed")
)

// RemoteError is an error that the other side's handler returned.
type RemoteError struct{ Text string }

func (e *RemoteError) Error() string { return e.Text }

// Refusal is why a handshake failed. The values are part of the wire format.
type Refusal uint8

const (
	// RefusedVersion: the two speak no common version of the protocol.
	RefusedVersion Refusal = iota + 1
	// RefusedCluster: the two are not of the same cluster.
	RefusedCluster
	// RefusedReceiver: another node answers at this address than the one meant.
	RefusedReceiver
	// RefusedSender: the sender gave no id, or the id of the node it talks to.
	RefusedSender
	// RefusedGroup: the node has no such Raft group.
	RefusedGroup
	// RefusedRaft: the node takes part in no Raft cluster yet, or no more.
	RefusedRaft
	// RefusedStream: the node does not know this kind of stream.
	RefusedStream
	// RefusedFull: the node has too many connections.
	RefusedFull
	// RefusedForeign: whatever answers there is no RaftKV node's Raft port.
	RefusedForeign
	// RefusedDir: the node has the id that was meant, but another data directory.
	RefusedDir
	// RefusedNoTLS: the node speaks TLS, and this one does not.
	RefusedNoTLS
	// RefusedTLS: the node speaks no TLS, and this one does.
	RefusedTLS
	// RefusedName: the certificate is that of another node than the one that shows it.
	RefusedName
	// RefusedTheirs: this node does not accept the other's certificate. Never sent.
	RefusedTheirs
	// RefusedOurs: the other node does not accept this one's certificate. Never sent.
	RefusedOurs
)

// HandshakeError says that a connection was made, but not with the node and
// cluster that was meant. It always comes with ErrNotSent.
type HandshakeError struct {
	Addr   string   // what was dialled
	Meant  string   // the id that was meant; "" for whoever answers
	Reason Refusal  // why
	Peer   Peer     // who answered, as far as it said
	Self   Identity // who this node said it was
	Cause  error    // what TLS says; nil for a refusal by our own handshake
}

func (e *HandshakeError) Error() string {
	switch e.Reason {
	case RefusedVersion:
		return fmt.Sprintf("%s speaks another version of the node-to-node protocol than %d", e.Addr, protocolVersion)
	case RefusedCluster:
		return fmt.Sprintf("%s is node %s of cluster %q, not of %q", e.Addr, e.Peer.ID, e.Peer.Cluster, e.Self.Cluster)
	case RefusedReceiver:
		return fmt.Sprintf("%s is node %s, not %s", e.Addr, e.Peer.ID, e.Meant)
	case RefusedSender:
		return fmt.Sprintf("%s (node %s) does not take %q for a node id of another node", e.Addr, e.Peer.ID, e.Self.ID)
	case RefusedGroup:
		return fmt.Sprintf("%s (node %s) has no such Raft group", e.Addr, e.Peer.ID)
	case RefusedRaft:
		return fmt.Sprintf("%s (node %s) takes no Raft traffic now", e.Addr, e.Peer.ID)
	case RefusedStream:
		return fmt.Sprintf("%s (node %s) does not know this kind of stream", e.Addr, e.Peer.ID)
	case RefusedFull:
		return fmt.Sprintf("%s (node %s) has too many connections", e.Addr, e.Peer.ID)
	case RefusedDir:
		return fmt.Sprintf("%s (node %s) or this node (%s) has another data directory than the node of its id", e.Addr, e.Peer.ID, e.Self.ID)
	case RefusedNoTLS:
		return e.Addr + " speaks TLS between nodes, and this node does not: start it with --tls-cert-file, --tls-key-file and --tls-ca-cert-file"
	case RefusedTLS:
		return e.Addr + " speaks no TLS between nodes, and this node does: start that one with --tls-cert-file, --tls-key-file and --tls-ca-cert-file too"
	case RefusedName:
		return fmt.Sprintf("%s (node %s) or this node (%s) shows the certificate of another node", e.Addr, e.Peer.ID, e.Self.ID)
	case RefusedTheirs:
		return fmt.Sprintf("the certificate of %s is not accepted: %v", e.Addr, e.Cause)
	case RefusedOurs:
		return fmt.Sprintf("%s does not accept this node's certificate: %v", e.Addr, e.Cause)
	case RefusedForeign:
		return fmt.Sprintf("%s is not the Raft address of a RaftKV node", e.Addr)
	}
	return fmt.Sprintf("%s (node %s) refused the connection (%d)", e.Addr, e.Peer.ID, e.Reason)
}

// Unwrap returns what TLS says.
func (e *HandshakeError) Unwrap() error { return e.Cause }

// notSent adds ErrNotSent to an error without changing its text.
type notSent struct{ err error }

func (e notSent) Error() string   { return e.err.Error() }
func (e notSent) Unwrap() []error { return []error{ErrNotSent, e.err} }
