package logstore

import (
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// The log is a raft-boltdb file: that library reads what we wrote, and we read
// what it wrote behind it.
func TestLogIsRaftBoltdbs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	l, err := CreateLog(path, "uuid")
	if err != nil {
		t.Fatal(err)
	}
	for i := uint64(1); i <= 3; i++ {
		if err := l.StoreLog(&raft.Log{Index: i, Term: 7, Type: raft.LogCommand, Data: []byte{byte(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	theirs, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{ReadOnly: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	first, err1 := theirs.FirstIndex()
	last, err2 := theirs.LastIndex()
	if err1 != nil || err2 != nil || first != 1 || last != 3 {
		t.Fatalf("raft-boltdb finds entries %d to %d (%v, %v), want 1 to 3", first, last, err1, err2)
	}
	for i := first; i <= last; i++ {
		var e raft.Log
		if err := theirs.GetLog(i, &e); err != nil || e.Index != i || e.Term != 7 || len(e.Data) != 1 || e.Data[0] != byte(i) {
			t.Errorf("entry %d read by raft-boltdb: %+v, %v", i, e, err)
		}
	}
}
