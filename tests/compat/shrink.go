package compat

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/raftkv/raftkv/resp"
)

// report makes a difference as short as it can be, and prints it as a script.
func (r *rig) report(out io.Writer, s *sequence, d *difference) error {
	counts := r.result
	counts.Ran, counts.Parted = maps.Clone(counts.Ran), maps.Clone(counts.Parted)
	defer func() { r.result = counts }()
	short, d, err := r.shrink(s, d)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "# %s: %s differs, after the last command. The replies are Redis's.\n", s.title(), d.name)
	if short.reload > 0 {
		fmt.Fprintf(out, "# Ours was restored from its snapshot before every %d. command.\n", short.reload)
	}
	for i, x := range d.log {
		mark := ""
		if s.proto == 3 && i == 0 {
			mark = "!3 "
		}
		if x.blocking {
			fmt.Fprintln(out, "# in MULTI and EXEC:")
		}
		fmt.Fprintf(out, "\n%s%s\n%s\n", mark, commandLine(x.args), shown(x.theirs))
	}
	fmt.Fprintf(out, "# ours:\n# %s\n# ours   %.600q\n# theirs %.600q\n\n", indent(shown(d.ours)), d.ours, d.theirs)
	return nil
}

func shown(raw []byte) string {
	v, err := resp.Parse(raw)
	if err != nil {
		return fmt.Sprintf("%q", raw)
	}
	text := resp.FormatCLI(v)
	return text[:min(len(text), 2000)]
}

func indent(text string) string {
	var b []byte
	for _, c := range []byte(text) {
		if b = append(b, c); c == '\n' {
			b = append(b, "# "...)
		}
	}
	return string(b)
}

// commandLine is a command as one types it.
func commandLine(args [][]byte) string {
	var b []byte
	for i, a := range args {
		if i > 0 {
			b = append(b, ' ')
		}
		plain := len(a) > 0 && !slices.ContainsFunc(a, func(c byte) bool { return c <= ' ' || c > '~' || c == '"' || c == '\'' || c == '\\' })
		if plain {
			b = append(b, a...)
		} else {
			b = resp.AppendQuoted(b, a)
		}
	}
	return string(b)
}

// maxTrials bounds how often a sequence is run to make it shorter.
const maxTrials = 3000

// shrinker looks for the shortest sequence in which the same command differs.
type shrinker struct {
	*rig
	best   *sequence
	found  *difference
	trials int
}

func (r *rig) shrink(s *sequence, d *difference) (*sequence, *difference, error) {
	k := &shrinker{rig: r, best: s, found: d}
	plain := *s
	plain.reload, plain.check, plain.steps = 0, false, stepsOf(d)
	if ok, err := k.try(&plain); err != nil {
		return nil, nil, err
	} else if !ok {
		plain.reload = s.reload
		if ok, err = k.try(&plain); err != nil || !ok { // it does not come again: told as it was
			return s, d, err
		}
		plain.reload = 1
		if _, err = k.try(&plain); err != nil {
			return nil, nil, err
		}
	}
	for _, pass := range []func() error{k.fewerSteps, k.fewerWords, k.fewerSteps} {
		if err := pass(); err != nil {
			return nil, nil, err
		}
	}
	return k.best, k.found, nil
}

func stepsOf(d *difference) []step {
	steps := make([]step, len(d.log))
	for i, x := range d.log {
		steps[i] = x.step
	}
	return steps
}

// try runs a candidate, and keeps it where the same command differs in it.
func (k *shrinker) try(s *sequence) (bool, error) {
	if k.trials++; k.trials > maxTrials {
		return false, nil
	}
	d, err := k.play(s)
	if err != nil || d == nil || d.name != k.found.name {
		return false, err
	}
	short := *s
	short.steps = stepsOf(d)
	k.best, k.found = &short, d
	return true, nil
}

// fewerSteps leaves out runs of steps, ever shorter ones.
func (k *shrinker) fewerSteps() error {
	for size := max(len(k.best.steps)/2, 1); ; size /= 2 {
		for from := 0; from < len(k.best.steps); {
			s := *k.best
			s.steps = slices.Delete(slices.Clone(s.steps), from, min(from+size, len(s.steps)))
			ok, err := k.try(&s)
			if err != nil {
				return err
			}
			if !ok {
				from += size
			}
		}
		if size <= 1 {
			return nil
		}
	}
}

// fewerWords leaves out words, and makes long ones short.
func (k *shrinker) fewerWords() error {
	for i := 0; i < len(k.best.steps); i++ {
		for at, size := 1, 0; i < len(k.best.steps) && at < len(k.best.steps[i].args); {
			args := k.best.steps[i].args
			if size == 0 {
				size = max(len(args)/2, 1)
			}
			ok, err := k.tryArgs(i, slices.Delete(slices.Clone(args), at, min(at+size, len(args))))
			if err == nil && !ok && size == 1 && len(args[at]) > 8 {
				shorter := slices.Clone(args)
				shorter[at] = args[at][:len(args[at])/2]
				if ok, err = k.tryArgs(i, shorter); ok {
					continue
				}
			}
			switch {
			case err != nil:
				return err
			case ok:
			case size > 1:
				size /= 2
			default:
				at++
			}
		}
	}
	return nil
}

func (k *shrinker) tryArgs(i int, args [][]byte) (bool, error) {
	s := *k.best
	s.steps = slices.Clone(s.steps)
	s.steps[i].args = args
	return k.try(&s)
}
