package cluster

import (
	"testing"

	"github.com/raftkv/raftkv/cluster/logstore"
)

// A founder that crashed inside the library's bootstrap, with the term stored and
// the first entry not, must come up as the cluster of one that it promised to be.
func TestBootstrapCutOff(t *testing.T) {
	a := newNode(t, "n1")
	d, err := openDataDir(a.dir, "n1")
	if err != nil {
		t.Fatal(err)
	}
	id := d.id
	id.State, id.Cluster, id.Stores, id.LogStore = founded, id.UUID, true, testKind()
	logs, err := id.logKind().Create(d.path, id.Cluster)
	if err != nil {
		t.Fatal(err)
	}
	votes, err := logstore.CreateVote(d.file(voteFile), id.Cluster)
	if err != nil {
		t.Fatal(err)
	}
	if err := votes.SetUint64([]byte("CurrentTerm"), 1); err != nil {
		t.Fatal(err)
	}
	logs.Close()
	votes.Close()
	if err := d.save(id); err != nil {
		t.Fatal(err)
	}
	d.close()
	a.run(t, "n1")
	if got := a.write(t, "SET k v"); got != "+OK\r\n" {
		t.Errorf("SET = %q", got)
	}
}
