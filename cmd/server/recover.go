package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/raftkv/raftkv/cluster"
	"github.com/raftkv/raftkv/server/config"
)

// runRecover makes a survivor the only voter of a new cluster.
func runRecover(args []string, env environment) error {
	cfg, done, err := config.ParseRecover(args, env.stdout)
	if err != nil || done {
		return err
	}
	r, err := cluster.OpenRecovery(context.Background(), cfg.DataDir, cluster.Around{Ask: cfg.Ask, Foreign: cfg.Foreign})
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Unfinished != "" {
		return finish(env, r)
	}
	if err := compare(r.Report, cfg.Compare); err != nil {
		return err
	}
	explainLoss(env, r)
	if !cfg.Yes {
		fmt.Fprintf(env.stdout, "\nTo go on, type the old cluster's id (%s): ", r.Report.ClusterID)
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if strings.TrimSpace(line) != r.Report.ClusterID {
			return errors.Join(errors.New("not confirmed; nothing was changed (--yes does it without asking)"), unlessEOF(err))
		}
	}
	id, err := r.Apply()
	if err != nil {
		return fmt.Errorf("%w (run recover again)", err)
	}
	fmt.Fprintf(env.stdout, "\n%s is now the only voter of the new cluster %s. Start it, then join fresh nodes: new --node-id, empty --data-dir.\n"+
		"What it had before is kept in %s/before-recover-%s; remove it once all is well.\n", r.Report.NodeID, id, cfg.DataDir, r.Report.ClusterID)
	return nil
}

// finish does what is left of a recover that was cut off. Nothing is lost by it, so
// it does not ask.
func finish(env environment, r *cluster.Recovery) error {
	id, err := r.Apply()
	if err != nil {
		return fmt.Errorf("%w (run recover again)", err)
	}
	fmt.Fprintf(env.stdout, "The last recover, of cluster %s, had been cut off after %s had become the only voter of the new cluster %s; what was left of it is done now, and nothing else was changed.\n"+
		"What it had before is kept in %s/before-recover-%s. Start it; only if a majority of the new cluster is lost as well, run recover once more.\n",
		r.Unfinished, r.Report.NodeID, id, r.Report.DataDir, r.Unfinished)
	return nil
}

// unlessEOF: that nobody is there to answer needs no words of its own.
func unlessEOF(err error) error {
	if err == nil || err.Error() == "EOF" {
		return nil
	}
	return err
}

// compare refuses where another survivor holds more.
func compare(mine *cluster.Report, dirs []string) error {
	for _, dir := range dirs {
		other, err := cluster.Check(dir)
		if err != nil {
			return err
		}
		if other.ClusterID != mine.ClusterID {
			return fmt.Errorf("%s belongs to cluster %s, not to %s", dir, other.ClusterID, mine.ClusterID)
		}
		a, b := other.Last(), mine.Last()
		if len(other.Findings) == 0 && (a.Term > b.Term || a.Term == b.Term && a.Index > b.Index) {
			return fmt.Errorf("%s holds more: its last entry is (term %d, index %d), this one's (term %d, index %d); recover there, nothing was changed",
				dir, a.Term, a.Index, b.Term, b.Index)
		}
	}
	return nil
}

// explainLoss says what may be missing afterwards.
func explainLoss(env environment, r *cluster.Recovery) {
	rep, last := r.Report, r.Report.Last()
	fmt.Fprintf(env.stdout, "Cluster %s, voters %s. Answered: %s.\n", rep.ClusterID, strings.Join(rep.Configuration.Voters, " "), orNone(strings.Join(r.Alive, ", ")))
	fmt.Fprintf(env.stdout, "%s holds everything up to (term %d, index %d).\n", rep.NodeID, last.Term, last.Index)
	fmt.Fprintf(env.stdout, "- Writes behind that which the lost nodes acknowledged are lost.\n")
	if known := committed(rep); known < last.Index {
		fmt.Fprintf(env.stdout, "- The entries %d to %d may hold writes that nobody was told are done; they will be there.\n", known+1, last.Index)
	}
	fmt.Fprintf(env.stdout, "- Run raftkv check on every surviving data dir and recover the one with the highest last (term, index), or name the others with --compare.\n")
	fmt.Fprintf(env.stdout, "- The other members of the old cluster can never come back with their data.\n")
}

// committed is the last index of which this directory alone proves that it was committed.
func committed(r *cluster.Report) uint64 {
	if len(r.Snapshots) == 0 {
		return 0
	}
	return r.Snapshots[0].Index
}
