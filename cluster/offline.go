package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/raftkv/raftkv/cluster/logstore"
)

// stores is the directory that Raft's stores are in: the data directory or, after a
// recover, the one in it that identity.json names.
func (d *dataDir) stores() string { return filepath.Join(d.path, d.id.StoresIn) }

// store is the path of one of Raft's stores.
func (d *dataDir) store(name string) string { return filepath.Join(d.stores(), name) }

// readIdentity reads and checks identity.json. Its errors are one line that says
// what to do; that the file is not there is fs.ErrNotExist.
func readIdentity(dir string) (identity, error) {
	return readIdentityFile(filepath.Join(dir, identityFile))
}

// readIdentityFile is readIdentity of a file of any name.
func readIdentityFile(path string) (id identity, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	if err != nil {
		return id, fmt.Errorf("data dir: %w", err)
	}
	if err := json.Unmarshal(text, &id); err == nil && id.Format != 1 {
		return id, fmt.Errorf("%s has format %d, which this version does not know; use the version that wrote it, or a newer one", path, id.Format)
	}
	sum, err := jsonSum(text)
	if err != nil || id.UUID == "" || id.State == "" || id.Sum != "" && id.Sum != sum || logstore.CheckKind(id.logKind()) != nil {
		return id, fmt.Errorf("%s is damaged; restore it from a backup, or start this node anew under another --node-id and --data-dir", path)
	}
	return id, nil
}

// jsonSum is a checksum over all fields of a JSON object but "sum": a flipped bit
// may leave JSON that can still be read.
func jsonSum(text []byte) (string, error) {
	var fields map[string]any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&fields); err != nil {
		return "", err
	}
	delete(fields, "sum")
	plain, err := json.Marshal(fields)
	return fmt.Sprintf("%08x", crc32.Checksum(plain, crc32.MakeTable(crc32.Castagnoli))), err
}

// sumOf is jsonSum of what v is as JSON.
func sumOf(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return jsonSum(text)
}

// holdStopped keeps nodes from starting on a data directory until the returned
// function is called; how is LOCK_SH, which changes nothing, or LOCK_EX.
func holdStopped(dir string, how int) (release func(), err error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, fmt.Errorf("data dir: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("%s is no directory", dir)
	}
	lock, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) && how == syscall.LOCK_EX {
		lock, err = os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil // every node that runs has made one
	}
	if err != nil {
		return nil, fmt.Errorf("data dir: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), how|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("a node runs on data dir %s; stop it first", dir)
	}
	return func() { lock.Close() }, nil
}
