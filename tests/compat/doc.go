// Package compat compares the data commands with a real Redis: it makes random command
// sequences from the declarations (package gen), runs each on a Machine in memory and on
// a redis-server, and compares every reply byte by byte, in RESP2 and RESP3. A sequence
// begins with empty databases and ends with a look at every key: its value, form, expiry
// and payload (DUMP). In half of them CONFIG SET makes the limits of the small forms so
// low that a few elements get beyond them, in a third there are transactions with watched
// keys, and in a quarter the Machine is replaced by one restored from its snapshot on the
// way. What either end dumped is restored on both. The first difference of a command is
// made as short as it can be, and printed as a script of the corpus.
//
// What may differ, and why, is in rules.go: that list is the whole of it. Commands and
// options that the real Redis does not know are found by asking it, and left out.
// Commands that may block run in a transaction, in which neither blocks.
//
// It knows nothing of connections and the cluster: package scripts has those. Of a
// session it has what transactions need (session.go), since the Machine has no session.
// Keys whose time comes on the way are not made: the two clocks would not agree. Scripts
// and the Machine's own tests have those.
package compat
