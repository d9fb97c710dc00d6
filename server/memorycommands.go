package server

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func memoryCommands() []command { return []command{declMemory()} }

// declMemory has what of MEMORY is of the process; USAGE is a data command.
func declMemory() command {
	sub := func(name, summary string, run func(*Session, [][]byte, *resp.Writer) error, tips ...string) command {
		return command{
			Command: spec.Command{Name: name, Group: spec.Server, Since: "4.0.0", Cost: "O(1)", Summary: summary, Tips: tips},
			run:     run, early: true,
		}
	}
	const changing, all = "nondeterministic_output", "request_policy:all_shards"
	return command{
		Command: spec.Command{
			Name: "MEMORY", Group: spec.Server, Since: "4.0.0", Cost: "Depends on the subcommand.",
			Summary: "Holds the commands that tell about memory.",
		},
		sub: []command{
			sub("DOCTOR", "Says what is remarkable about this node's memory.", cmdMemoryDoctor, changing, all, "response_policy:special"),
			helpCommand("MEMORY", spec.Server, spec.Loading|spec.Stale, "4.0.0"),
			sub("MALLOC-STATS", "Shows what Go's allocator says of itself.", cmdMemoryMallocStats, changing, all, "response_policy:special"),
			sub("PURGE", "Collects garbage, and gives the system the memory that is free then.", cmdMemoryPurge, all, "response_policy:all_succeeded"),
			sub("STATS", "Tells what this node's memory is used for.", cmdMemoryStats, changing, all, "response_policy:special"),
		},
	}
}

// clientBytes is what all clients hold of the server's memory.
func (s *Server) clientBytes() (n int) {
	for _, one := range s.sessions.all() {
		n += one.buffers().total()
	}
	return n
}

// figures are the pairs of MEMORY STATS in the making.
type figures struct {
	names []string
	write []func(w *resp.Writer)
}

func (f *figures) count(name string, n int64) {
	f.names, f.write = append(f.names, name), append(f.write, func(w *resp.Writer) { w.Int(n) })
}

func (f *figures) ratio(name string, part, of float64) {
	if of == 0 {
		of = 1
	}
	f.names, f.write = append(f.names, name), append(f.write, func(w *resp.Writer) { w.Double(part / of) })
}

// apart tells by how much a part is above another one.
func (f *figures) apart(ratio, bytes string, n, of uint64) {
	f.ratio(ratio, float64(n), float64(of))
	f.count(bytes, int64(n)-int64(of))
}

// cmdMemoryStats tells INFO's figures under the names that Redis has for them here; memory.go
// says what they are. What a database's table takes by itself is not told: it is not
// measured apart from the keys in it.
func cmdMemoryStats(s *Session, _ [][]byte, w *resp.Writer) error {
	m, stats := measureMemory(), s.srv.machine.Stats()
	peak, startup := s.srv.remember(m.used), min(s.srv.startup, m.used)
	data, keys := uint64(max(stats.Bytes, 0)), 0
	for _, db := range stats.Databases {
		keys += db.Keys
	}
	var f figures
	f.count("peak.allocated", int64(peak))
	f.count("total.allocated", int64(m.used))
	f.count("startup.allocated", int64(startup))
	f.count("replication.backlog", 0)
	f.count("clients.slaves", 0)
	f.count("clients.normal", int64(s.srv.clientBytes()))
	f.count("cluster.links", 0)
	f.count("aof.buffer", 0)
	f.count("lua.caches", 0)
	f.count("functions.caches", 0)
	f.count("overhead.total", int64(m.used-min(data, m.used)))
	f.count("keys.count", int64(keys))
	f.count("keys.bytes-per-key", int64(data)/int64(max(keys, 1)))
	f.count("dataset.bytes", int64(data))
	f.ratio("dataset.percentage", 100*float64(min(data, m.used-startup)), float64(m.used-startup))
	f.ratio("peak.percentage", 100*float64(m.used), float64(peak))
	f.count("allocator.allocated", int64(m.used))
	f.count("allocator.active", int64(m.active))
	f.count("allocator.resident", int64(m.heap))
	f.apart("allocator-fragmentation.ratio", "allocator-fragmentation.bytes", m.active, m.used)
	f.apart("allocator-rss.ratio", "allocator-rss.bytes", m.heap, m.active)
	f.apart("rss-overhead.ratio", "rss-overhead.bytes", m.rss, m.heap)
	f.apart("fragmentation", "fragmentation.bytes", m.rss, m.used)
	w.Map(len(f.names))
	for i, name := range f.names {
		w.BulkString(name)
		f.write[i](w)
	}
	return nil
}

// What MEMORY DOCTOR finds remarkable, in bytes and ratios.
const (
	doctorLeast    = 5 << 20
	doctorPeak     = 1.5
	doctorRSS      = 1.4
	doctorOverhead = 10 << 20 // below it, ratios of what the process takes say little
	doctorClient   = 200 << 10
)

// cmdMemoryDoctor looks at what Redis's doctor does, as far as it is there: the peak, what
// the process takes beyond the heap, free rooms in the heap, and what clients hold.
func cmdMemoryDoctor(s *Session, _ [][]byte, w *resp.Writer) error {
	m := measureMemory()
	w.Verbatim("txt", diagnose(m, s.srv.remember(m.used), s.srv.clientBytes()/max(s.srv.sessions.len(), 1)))
	return nil
}

// diagnose says what is remarkable; client is what a client holds on the average.
func diagnose(m memory, peak uint64, client int) string {
	if m.used < doctorLeast {
		return "There is next to nothing in memory, so there is nothing to say about it.\n"
	}
	beyond := func(n, of uint64, ratio float64) bool {
		return float64(n) > ratio*float64(of) && n-of > doctorOverhead
	}
	var found []string
	note := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if beyond(peak, m.used, doctorPeak) {
		note("Peak: %s were in use once, %s are now. The process keeps part of the difference until the collector gives it back; MEMORY PURGE does so at once.", human(peak), human(m.used))
	}
	if beyond(m.active, m.used, doctorRSS) {
		note("Fragmentation: %s of the heap are rooms that only objects of their size can take.", human(m.active-m.used))
	}
	if beyond(m.heap, m.active, doctorRSS) {
		note("Free heap: %s are free and not given back to the system yet; MEMORY PURGE does so.", human(m.heap-m.active))
	}
	if beyond(m.rss, m.heap, doctorRSS) {
		note("Outside the heap: the process takes %s more than its heap has.", human(m.rss-m.heap))
	}
	if client > doctorClient {
		note("Clients: each holds %s on the average. Some do not read what they asked for, or send large commands; CLIENT LIST shows them.", human(uint64(client)))
	}
	if len(found) == 0 {
		return "Nothing is remarkable about this node's memory.\n"
	}
	return "Remarkable about this node's memory:\n\n * " + strings.Join(found, "\n * ") + "\n"
}

func cmdMemoryMallocStats(_ *Session, _ [][]byte, w *resp.Writer) error {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var b strings.Builder
	for _, line := range []struct {
		what string
		n    uint64
	}{
		{"bytes in live and dead objects", m.HeapAlloc}, {"objects", m.HeapObjects},
		{"bytes in spans in use", m.HeapInuse}, {"bytes in spans not in use", m.HeapIdle}, {"bytes given back to the system", m.HeapReleased},
		{"bytes of stacks", m.StackSys}, {"bytes of the runtime's own", m.MSpanSys + m.MCacheSys + m.BuckHashSys + m.GCSys + m.OtherSys},
		{"bytes from the system", m.Sys}, {"bytes allocated since the start", m.TotalAlloc},
		{"objects allocated since the start", m.Mallocs}, {"objects freed since the start", m.Frees},
		{"heap size of the next collection", m.NextGC}, {"collections", uint64(m.NumGC)}, {"nanoseconds stopped for them", m.PauseTotalNs},
	} {
		fmt.Fprintf(&b, "%s: %d\n", line.what, line.n)
	}
	w.Verbatim("txt", "Go's allocator\n"+b.String())
	return nil
}

// debugHeap is DEBUG JMAP: the live and dead objects of each size class.
func debugHeap(_ *Session, _ [][]byte, w *resp.Writer) error {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var b strings.Builder
	small := uint64(0)
	for _, class := range m.BySize {
		if n := class.Mallocs - class.Frees; n > 0 {
			fmt.Fprintf(&b, "objects of %d bytes: %d\n", class.Size, n)
			small += n
		}
	}
	fmt.Fprintf(&b, "larger objects: %d\nall objects: %d\nall bytes: %d\n", m.HeapObjects-min(small, m.HeapObjects), m.HeapObjects, m.HeapAlloc)
	w.Verbatim("txt", b.String())
	return nil
}

func cmdMemoryPurge(_ *Session, _ [][]byte, w *resp.Writer) error {
	debug.FreeOSMemory()
	w.OK()
	return nil
}
