// Package compat compares the data commands with a real Redis: it makes random command
// sequences from the declarations (package gen), runs each on a Machine in memory and on
// a redis-server, and compares every reply byte by byte, in RESP2 and RESP3. A sequence
// begins with empty databases and ends with a look at every key. At times the Machine
// is replaced by one restored from its snapshot on the way. The first difference of a
// command is made as short as it can be, and printed as a script of the corpus.
//
// What may differ, and why, is in rules.go: that list is the whole of it. Commands and
// options that the real Redis does not know are found by asking it, and left out.
// Commands that may block run in a transaction, in which neither blocks.
//
// It knows nothing of connections, transactions and the cluster: package scripts has
// those.
package compat
