package logstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

func newVote(t *testing.T) (*Vote, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "raft.vote")
	v, err := CreateVote(path, uuid)
	check(t, err)
	t.Cleanup(func() { v.Close() })
	return v, path
}

func reopenVote(t *testing.T, v *Vote, path string) *Vote {
	t.Helper()
	check(t, v.Close())
	v, err := OpenVote(path, uuid)
	check(t, err)
	t.Cleanup(func() { v.Close() })
	return v
}

// state is what raft would learn from the store.
func state(v *Vote) string {
	show := func(val any, err error) string {
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(val)
	}
	cand, candErr := v.Get(keyLastVoteCand)
	return "term " + show(v.GetUint64(keyCurrentTerm)) + ", vote " + show(v.GetUint64(keyLastVoteTerm)) + " " + show(string(cand), candErr)
}

func checkState(t *testing.T, v *Vote, want string) {
	t.Helper()
	if got := state(v); got != want {
		t.Errorf("state = %q, want %q", got, want)
	}
}

func vote(t *testing.T, v *Vote, term uint64, cand string) {
	t.Helper()
	check(t, v.SetUint64(keyLastVoteTerm, term))
	check(t, v.Set(keyLastVoteCand, []byte(cand)))
}

func TestVoteIsOneValue(t *testing.T) {
	v, path := newVote(t)
	checkState(t, v, "term not found, vote not found not found")
	check(t, v.SetUint64(keyCurrentTerm, 5))
	vote(t, v, 5, "node1")
	checkState(t, v, "term 5, vote 5 node1")
	v = reopenVote(t, v, path)
	checkState(t, v, "term 5, vote 5 node1")

	// A crash between raft's two calls: the term alone must not count.
	check(t, v.SetUint64(keyCurrentTerm, 6))
	check(t, v.SetUint64(keyLastVoteTerm, 6))
	checkState(t, v, "term 6, vote 5 node1") // staged, never readable
	v = reopenVote(t, v, path)
	checkState(t, v, "term 6, vote 5 node1")
	if err := v.Set(keyLastVoteCand, []byte("node2")); !errors.Is(err, ErrNoStagedTerm) {
		t.Errorf("candidate without a term: %v, want ErrNoStagedTerm", err)
	}
	checkState(t, v, "term 6, vote 5 node1")
	vote(t, v, 6, "node2")
	checkState(t, v, "term 6, vote 6 node2")
	if err := v.Set(keyLastVoteCand, []byte("node3")); !errors.Is(err, ErrNoStagedTerm) {
		t.Errorf("a staged term served twice: %v", err)
	}
}

func TestStagedTermIsDroppedOnError(t *testing.T) {
	v, path := newVote(t)
	check(t, v.SetUint64(keyLastVoteTerm, 7))
	v.file.failed = errors.New("disk gone")
	if err := v.Set(keyLastVoteCand, []byte("node1")); !errors.Is(err, ErrWriteFailed) {
		t.Errorf("vote on a failed file: %v, want ErrWriteFailed", err)
	}
	if v.staged != nil {
		t.Error("the staged term is still there")
	}
	if err := v.SetUint64(keyCurrentTerm, 8); !errors.Is(err, ErrWriteFailed) {
		t.Errorf("term on a failed file: %v, want ErrWriteFailed", err)
	}
	v = reopenVote(t, v, path)
	checkState(t, v, "term not found, vote not found not found")
}

// plainVote makes the file hold raft-boltdb's own form, values without checksum.
func plainVote(t *testing.T, path string, values map[string][]byte) {
	t.Helper()
	v, err := CreateVote(path, uuid)
	check(t, err)
	check(t, v.Close())
	editConf(t, path, func(b *bbolt.Bucket) {
		check(t, b.Delete(sealedKey(keyCurrentTerm)))
		check(t, b.Delete(sealedKey(keyVote)))
		for key, val := range values {
			check(t, b.Put([]byte(key), val))
		}
	})
}

func editConf(t *testing.T, path string, edit func(*bbolt.Bucket)) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	check(t, err)
	check(t, db.Update(func(tx *bbolt.Tx) error { edit(tx.Bucket([]byte("conf"))); return nil }))
	check(t, db.Close())
}

func TestOldFormOfTheVote(t *testing.T) {
	number := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	path := filepath.Join(t.TempDir(), "raft.vote")
	plainVote(t, path, map[string][]byte{"CurrentTerm": number(9), "LastVoteTerm": number(8), "LastVoteCand": []byte("old")})
	v, err := OpenVote(path, uuid)
	check(t, err)
	checkState(t, v, "term 9, vote 8 old")
	check(t, v.SetUint64(keyLastVoteTerm, 10))
	checkState(t, v, "term 9, vote 8 old")
	check(t, v.SetUint64(keyCurrentTerm, 10))
	check(t, v.Set(keyLastVoteCand, []byte("new")))
	v = reopenVote(t, v, path)
	checkState(t, v, "term 10, vote 10 new")

	path = filepath.Join(t.TempDir(), "raft.vote")
	plainVote(t, path, map[string][]byte{"CurrentTerm": number(1)}) // never voted
	v, err = OpenVote(path, uuid)
	check(t, err)
	checkState(t, v, "term 1, vote not found not found")
	check(t, v.Close())
}

func TestOtherKeysOfTheVote(t *testing.T) {
	v, path := newVote(t)
	if _, err := v.Get([]byte("other")); err == nil || err.Error() != "not found" {
		t.Errorf("unknown key: %v, want exactly %q", err, "not found")
	}
	if _, err := v.GetUint64([]byte("other")); err == nil || err.Error() != "not found" {
		t.Errorf("unknown number: %v, want exactly %q", err, "not found")
	}
	check(t, v.Set([]byte("other"), []byte("value")))
	v = reopenVote(t, v, path)
	if got, err := v.Get([]byte("other")); err != nil || string(got) != "value" {
		t.Errorf("other = %q, %v", got, err)
	}
	if _, err := v.GetUint64([]byte("other")); !errors.Is(err, ErrDamaged) {
		t.Errorf("a text as a number: %v, want ErrDamaged", err)
	}
	if v.Set(keyLastVoteTerm, []byte("12345678")) == nil || v.SetUint64(keyLastVoteCand, 1) == nil {
		t.Error("a value of the wrong kind was taken")
	}
}

// A bit of the term or the vote flips, in value or key: the file does not open.
func TestFlippedVoteIsFound(t *testing.T) {
	v, path := newVote(t)
	check(t, v.SetUint64(keyCurrentTerm, 5))
	vote(t, v, 5, "node1")
	check(t, v.Close())
	for _, key := range [][]byte{sealedKey(keyCurrentTerm), sealedKey(keyVote)} {
		var good []byte
		editConf(t, path, func(b *bbolt.Bucket) { good = bytes.Clone(b.Get(key)) })
		for bit := range 8 * len(good) {
			bad := bytes.Clone(good)
			bad[bit/8] ^= 1 << (bit % 8)
			editConf(t, path, func(b *bbolt.Bucket) { check(t, b.Put(key, bad)) })
			_, err := OpenVote(path, uuid)
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("bit %d of %s flipped: %v, want ErrDamaged", bit, key, err)
			}
			checkOneLine(t, err, path)
		}
		editConf(t, path, func(b *bbolt.Bucket) { check(t, b.Delete(key)) })
		if _, err := OpenVote(path, uuid); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s gone: %v, want ErrDamaged", key, err)
		}
		editConf(t, path, func(b *bbolt.Bucket) { check(t, b.Put(key, good)) })
	}
	v, err := OpenVote(path, uuid)
	check(t, err)
	checkState(t, v, "term 5, vote 5 node1")
	check(t, v.Close())
}

func TestCreateVoteAfterACrash(t *testing.T) {
	v, path := newVote(t)
	check(t, v.Close())
	v, err := CreateVote(path, "another") // nothing in it yet
	check(t, err)
	check(t, v.SetUint64(keyCurrentTerm, 1))
	check(t, v.Close())
	if _, err := CreateVote(path, "another"); !errors.Is(err, ErrHasState) {
		t.Errorf("CreateVote over a term: %v, want ErrHasState", err)
	}
	if _, err := OpenVote(path, uuid); !errors.Is(err, ErrForeign) {
		t.Errorf("OpenVote of another cluster's: %v, want ErrForeign", err)
	}
}

// No checksum covers a file's sentinel: whatever a flipped bit makes of it, the file is
// refused with a line that says what to do.
func TestFlippedSentinel(t *testing.T) {
	v, path := newVote(t)
	var good []byte
	check(t, v.Close())
	editConf(t, path, func(b *bbolt.Bucket) { good = bytes.Clone(b.Get(sentinelKey)) })
	for bit := range 8 * len(good) {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		editConf(t, path, func(b *bbolt.Bucket) { check(t, b.Put(sentinelKey, bad)) })
		_, err := OpenVote(path, uuid)
		var in *FileError
		if !errors.As(err, &in) || !strings.Contains(in.Detail, "restore this node from the others") && !strings.Contains(in.Detail, "use the version that wrote it") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
