//go:build linux

package network

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
)

// insideEnv tells a process that it was started by Isolate.
const insideEnv = "RAFTKV_CHAOS_INSIDE"

// Inside says whether this process was started by Isolate.
func Inside() bool { return os.Getenv(insideEnv) != "" }

// Isolate runs this program again with the same arguments in a network namespace
// of its own, where it may make networks, and returns its exit code. Whoever is
// not root becomes it in a user namespace of its own, which changes nothing
// outside. env is added to the environment.
func Isolate(env ...string) (code int, err error) {
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(append(os.Environ(), insideEnv+"=1"), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if !mayAdministrate() {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	runtime.LockOSThread() // the child dies with the thread that started it
	defer runtime.UnlockOSThread()
	// The terminal sends Ctrl-C to both: the child ends in order, and then this does.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("network namespaces are not available here (as root they always are; otherwise user namespaces must be allowed): %w", err)
	}
	go func() {
		for s := range signals {
			cmd.Process.Signal(s) // an error means that it has ended
		}
	}()
	err = cmd.Wait()
	close(signals)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

// Main runs a package's tests, m.Run, in a network of their own, and returns the
// exit code; TestMain calls it. Where that cannot be had they are left out, but never in CI.
func Main(run func() int, env ...string) int {
	if Inside() {
		return run()
	}
	code, err := Isolate(env...)
	if err == nil {
		return code
	}
	if os.Getenv("CI") == "true" {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stderr, "LEFT OUT:", err)
	return 0
}

// mayAdministrate says whether this process has CAP_SYS_ADMIN, which root lacks in
// some containers.
func mayAdministrate() bool {
	const sysAdmin = 21 // capabilities(7)
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), "\nCapEff:")
	var effective uint64
	_, err = fmt.Sscanf(strings.TrimSpace(rest), "%x", &effective)
	return err == nil && effective&(1<<sysAdmin) != 0
}
