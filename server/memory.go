package server

import (
	"bytes"
	"fmt"
	"os"
	"runtime/metrics"
	"strconv"
	"time"
)

// memory tells what this process holds, all of it measured: by Go's runtime, by the
// system, or by the keyspace.
//
//	used_memory           objects in Go's heap, those included that died since the last
//	                      collection: so it rises and falls by a part of itself
//	used_memory_dataset   keys and values as the keyspace accounts for them; the same on
//	                      every node of the cluster
//	used_memory_overhead  the rest of used_memory: connections, the log's newest entries,
//	                      garbage
//	maxmemory             what used_memory_dataset is held to: the only part that writes
//	                      decide, and the same on every node
//	used_memory_startup   used_memory before any data was loaded
//	used_memory_rss       memory of the machine that the process takes, as the system
//	                      sees it: binary, stacks and mapped files too
//	allocator_allocated   used_memory; allocator_active has also the free rooms between
//	                      objects, and allocator_resident all that the heap has of the
//	                      system, until the next collection or returned with time
//
// Ratios and differences are of these, as in Redis. Where the system does not tell,
// used_memory_rss is the runtime's own account, and total_system_memory is left out.
func (r *report) memory() {
	m := measureMemory()
	peak := r.srv.remember(m.used)
	data := uint64(max(r.srv.machine.Stats().Bytes, 0))
	overhead, startup := m.used-min(data, m.used), min(r.srv.startup, m.used)
	r.size("used_memory", m.used)
	r.size("used_memory_rss", m.rss)
	r.size("used_memory_peak", peak)
	r.field("used_memory_peak_perc", percentOf(m.used, peak))
	r.field("used_memory_overhead", overhead)
	r.field("used_memory_startup", startup)
	r.field("used_memory_dataset", data)
	r.field("used_memory_dataset_perc", percentOf(min(data, m.used-startup), m.used-startup))
	r.field("allocator_allocated", m.used)
	r.field("allocator_active", m.active)
	r.field("allocator_resident", m.heap)
	if m.machine > 0 {
		r.size("total_system_memory", m.machine)
	}
	r.size("maxmemory", uint64(r.srv.settings.maxMemory.Load()))
	r.field("maxmemory_policy", "noeviction")
	r.ratio("allocator_frag", m.active, m.used)
	r.ratio("allocator_rss", m.heap, m.active)
	r.ratio("rss_overhead", m.rss, m.heap)
	r.ratio("mem_fragmentation", m.rss, m.used)
	r.field("mem_clients_slaves", 0)
	r.field("mem_clients_normal", r.srv.clientBytes())
	r.field("mem_allocator", "go")
	r.field("active_defrag_running", 0)
	r.field("lazyfree_pending_objects", 0)
}

// size writes a number of bytes, also in the form for humans.
func (r *report) size(name string, n uint64) {
	r.field(name, n)
	r.field(name+"_human", human(n))
}

// ratio writes by how much one number of bytes is above another one.
func (r *report) ratio(name string, n, of uint64) {
	r.field(name+"_ratio", fmt.Sprintf("%.2f", float64(n)/float64(max(of, 1))))
	r.field(name+"_bytes", int64(n)-int64(of))
}

func percentOf(n, of uint64) string {
	return fmt.Sprintf("%.2f%%", 100*float64(n)/float64(max(of, 1)))
}

// memoryPause is how often the memory in use is looked at, to know its peak.
const memoryPause = 250 * time.Millisecond

// watchMemory keeps used_memory_peak until the server stops.
func (s *Server) watchMemory() {
	for s.sleep(memoryPause) {
		s.remember(usedMemory())
	}
}

// remember takes up how much memory is in use, and returns the most that ever was.
func (s *Server) remember(used uint64) (peak uint64) {
	for {
		peak = s.peak.Load()
		if used <= peak {
			return peak
		}
		if s.peak.CompareAndSwap(peak, used) {
			return used
		}
	}
}

// memory is what a process holds, in bytes.
type memory struct {
	used    uint64 // objects, dead ones that are not collected yet included
	active  uint64 // and the rooms between them that only objects of their size can take
	heap    uint64 // and what is free and not given back to the system
	rss     uint64 // of the whole process
	machine uint64 // what the machine has; 0 where that is not known
}

// usedMemory is memory.used.
func usedMemory() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func measureMemory() (m memory) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	n := func(i int) uint64 { return samples[i].Value.Uint64() }
	m.used = n(0)
	m.active = m.used + n(1)
	m.heap = m.active + n(2)
	m.rss = n(3) - n(4)
	if resident, ok := residentOf("/proc/self/statm"); ok {
		m.rss = resident
	}
	m.machine = totalOf("/proc/meminfo")
	return m
}

// residentOf reads the second number of Linux's /proc/PID/statm, which counts pages.
func residentOf(path string) (size uint64, ok bool) {
	text, err := os.ReadFile(path)
	fields := bytes.Fields(text)
	if err != nil || len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
	return pages * uint64(os.Getpagesize()), err == nil
}

// totalOf reads the first line of Linux's /proc/meminfo, as in "MemTotal: 16384 kB".
func totalOf(path string) uint64 {
	text, err := os.ReadFile(path)
	fields := bytes.Fields(text)
	if err != nil || len(fields) < 3 || string(fields[0]) != "MemTotal:" {
		return 0
	}
	kib, _ := strconv.ParseUint(string(fields[1]), 10, 64)
	return kib << 10
}

// human writes a size as Redis does. Source: redis/src/server.c:bytesToHuman.
func human(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%dB", n)
	}
	size, unit := float64(n)/1024, 0
	for ; size >= 1024 && unit < len("KMGTP")-1; unit++ {
		size /= 1024
	}
	return fmt.Sprintf("%.2f%c", size, "KMGTP"[unit])
}
