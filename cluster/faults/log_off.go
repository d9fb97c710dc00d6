//go:build !faults

package faults

import "github.com/hashicorp/raft"

// Log is the log store that the library gets.
func Log(s raft.LogStore) raft.LogStore { return s }
