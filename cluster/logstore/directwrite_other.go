//go:build !linux

package logstore

import "os"

// directWriter writes past the system's cache where this program knows how; not here.
type directWriter struct{}

func (*directWriter) write(*os.File, []byte, int64) (done bool, err error) { return false, nil }

func (*directWriter) release() {}

func (*directWriter) close() error { return nil }
