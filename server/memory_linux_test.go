package server

import (
	"syscall"
	"testing"
)

// TestResidentMemory: used_memory_rss counts what the runtime knows nothing of, such as
// a mapped file, once its pages are there, and no longer than they are.
func TestResidentMemory(t *testing.T) {
	const size, near = 256 << 20, 64 << 20
	mapped, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	before := measureMemory()
	for i := 0; i < size; i += 4 << 10 {
		mapped[i] = 1
	}
	during := measureMemory()
	if err := syscall.Munmap(mapped); err != nil {
		t.Fatal(err)
	}
	after := measureMemory()
	if up, down := int64(during.rss-before.rss), int64(during.rss-after.rss); max(up-size, size-up, down-size, size-down) > near {
		t.Errorf("%d bytes touched: %d more are resident, then %d less", size, up, down)
	}
	if during.machine < during.rss {
		t.Errorf("%d bytes are resident on a machine of %d", during.rss, during.machine)
	}
}
