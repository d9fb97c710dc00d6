package check

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/anishathalye/porcupine"
)

// OK says whether nothing was violated and nothing invalid. Undecided keys are OK: see
// UndecidedShare.
func (r *Report) OK() bool { return len(r.Violations()) == 0 && len(r.Txns.Anomalies) == 0 }

// Violations are the keys that are Violated or Invalid.
func (r *Report) Violations() []*KeyReport {
	var found []*KeyReport
	for i := range r.Keys {
		if v := r.Keys[i].Verdict; v == Violated || v == Invalid {
			found = append(found, &r.Keys[i])
		}
	}
	return found
}

// UndecidedShare is the share of keys without a verdict, from 0 to 1.
func (r *Report) UndecidedShare() float64 {
	if len(r.Keys) == 0 {
		return 0
	}
	undecided := 0
	for i := range r.Keys {
		if r.Keys[i].Verdict == Undecided {
			undecided++
		}
	}
	return float64(undecided) / float64(len(r.Keys))
}

// Summary is a line for each workload, then one for each violation.
func (r *Report) Summary() string {
	var b strings.Builder
	for _, w := range []Workload{Register, Counter, Appends, TTL} {
		if r.Outcome[w] != nil {
			r.summarize(&b, w)
		}
	}
	if r.Outcome[ListAppend] != nil {
		fmt.Fprintf(&b, "%-10s %s; %s\n", ListAppend, r.outcomes(ListAppend), r.Txns.String())
	}
	fmt.Fprintf(&b, "checked in %v, %.1f %% of the keys undecided\n", r.Took.Round(time.Millisecond), 100*r.UndecidedShare())
	for _, k := range r.Violations() {
		fmt.Fprintf(&b, "%s: %s %s: %s\n", strings.ToUpper(string(k.Verdict)), k.Workload, k.Key, k.Why)
	}
	for _, a := range r.Txns.Anomalies {
		fmt.Fprintf(&b, "VIOLATION: %s: %s\n", ListAppend, a)
	}
	return b.String()
}

func (r *Report) summarize(b *strings.Builder, w Workload) {
	verdicts := make(map[Verdict]int)
	keys, most := 0, 0
	var took, slowest time.Duration
	for i := range r.Keys {
		if k := &r.Keys[i]; k.Workload == w {
			keys++
			verdicts[k.Verdict]++
			most = max(most, len(k.Ops))
			took += k.Took
			slowest = max(slowest, k.Took)
		}
	}
	fmt.Fprintf(b, "%-10s %s; %d keys of at most %d: %d ok", w, r.outcomes(w), keys, most, verdicts[Passed])
	for _, v := range []Verdict{Violated, Undecided, Invalid} {
		if verdicts[v] > 0 {
			fmt.Fprintf(b, ", %d %s", verdicts[v], v)
		}
	}
	fmt.Fprintf(b, "; checker %v, slowest key %v\n", took.Round(time.Millisecond), slowest.Round(time.Millisecond))
}

func (r *Report) outcomes(w Workload) string {
	o := r.Outcome[w]
	return fmt.Sprintf("%d operations: %d ok, %d failed, %d unknown", o[OK]+o[Failed]+o[Unknown], o[OK], o[Failed], o[Unknown])
}

// Save writes beside a history what people need to see a violation: for each violated
// key base-<workload>-<key>.html, porcupine's picture of the shortest failing prefix,
// and .txt, the operations; for the transactions base-listappend.txt. It returns the
// files that it wrote; none where all is well.
func (r *Report) Save(base string) ([]string, error) {
	var files []string
	var errs []error
	save := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			errs = append(errs, err)
			return
		}
		files = append(files, name)
	}
	for _, k := range r.Violations() {
		name := fmt.Sprintf("%s-%s-%s", base, k.Workload, fileName(k.Key))
		save(name+".txt", k.text())
		if len(k.Prefix) == 0 {
			continue
		}
		if err := porcupine.VisualizePath(k.model, k.info, name+".html"); err != nil {
			errs = append(errs, err)
			continue
		}
		files = append(files, name+".html")
	}
	if len(r.Txns.Anomalies) > 0 {
		var b strings.Builder
		for _, a := range r.Txns.Anomalies {
			fmt.Fprintf(&b, "%s\n", a)
			for _, op := range a.Ops {
				fmt.Fprintf(&b, "    %s\n", op)
			}
		}
		save(base+"-listappend.txt", b.String())
	}
	return files, errors.Join(errs...)
}

// text is the key's verdict and operations, the failing prefix first.
func (k *KeyReport) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s: %s\n", k.Workload, k.Key, k.Verdict, k.Why)
	if len(k.Prefix) > 0 {
		fmt.Fprintf(&b, "\nThe shortest failing prefix, %d operations; unknown here is what had not returned:\n", len(k.Prefix))
		for _, op := range k.Prefix {
			fmt.Fprintln(&b, op)
		}
	}
	fmt.Fprintf(&b, "\nAll %d operations of the key:\n", len(k.Ops))
	for _, op := range k.Ops {
		fmt.Fprintln(&b, op)
	}
	return b.String()
}

// fileName is the key with everything replaced that a file's name should not hold.
func fileName(key string) string {
	name := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || slices.Contains([]rune("-_."), r) {
			return r
		}
		return '_'
	}, key)
	return strings.TrimLeft(name, ".")
}
