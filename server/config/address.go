package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/raftkv/raftkv/fsm/system"
)

// CheckNodeID says in one line why an id cannot name a node; nil where it can.
func CheckNodeID(id string) error { return system.CheckNodeID(id) }

// checkAddresses checks what is listened on and derives what is advertised.
func (c *Config) checkAddresses() error {
	seen := make(map[string]string)
	open := ""
	for _, a := range []struct {
		name      string
		bind      string
		advertise *string
		anyPort   bool
	}{
		// Raft's port must be known before it is listened on: it goes into join requests.
		{"raft", c.RaftAddr, &c.RaftAdvertise, false},
		{"resp", c.RESPAddr, &c.RESPAdvertise, true},
		{"http", c.HTTPAddr, &c.HTTPAdvertise, true},
	} {
		flag := "--" + a.name + "-addr"
		host, port, err := splitAddress(a.bind)
		if err != nil {
			return Usagef("%s: %v", flag, err)
		}
		if port == 0 && !a.anyPort {
			return Usagef("%s: port 0 lets the system choose a port, but the other nodes must know it: choose one", flag)
		}
		if other, dup := seen[a.bind]; dup && port != 0 {
			return Usagef("%s and %s are both %s: each needs a port of its own", other, flag, a.bind)
		}
		seen[a.bind] = flag
		if err := deriveAdvertise(a.name, a.bind, a.advertise); err != nil {
			return err
		}
		loopback, err := isLoopback(host)
		if err != nil {
			return Usagef("%s %s: the host %q cannot be resolved: correct it, or use an IP address", flag, a.bind, host)
		}
		if open == "" && !loopback && a.name != "raft" { // whose other nodes know no password: see checkTLS
			open = flag + " " + a.bind
		}
	}
	if open != "" && c.RequirePass == "" && c.ProtectedMode != "no" {
		return Usagef("%s can be reached from other machines and no password is set: set --requirepass, or listen on 127.0.0.1, or allow it with --protected-mode no", open)
	}
	return nil
}

// deriveAdvertise checks the advertised address, or takes the bound one for it.
func deriveAdvertise(name, bind string, advertise *string) error {
	if *advertise == "" {
		if host, _, _ := splitAddress(bind); isWildcard(host) {
			return Usagef("--%s-addr %s is every address of this machine: say by --%s-advertise HOST:PORT which one to tell the others", name, bind, name)
		}
		*advertise = bind
		return nil
	}
	if err := CheckDialable(*advertise); err != nil {
		return Usagef("--%s-advertise: %v", name, err)
	}
	return nil
}

// CheckDialable says in one line why an address cannot be connected to as it is
// written; nil where it can.
func CheckDialable(addr string) error {
	host, port, err := splitAddress(addr)
	switch {
	case err != nil:
		return err
	case isWildcard(host):
		return fmt.Errorf("%q names no machine: use a host name or address that others can connect to", addr)
	case port == 0:
		return fmt.Errorf("%q has port 0, which nobody can connect to", addr)
	}
	return nil
}

// splitAddress takes host:port apart; a port is a number, an IPv6 address stands
// in brackets.
func splitAddress(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		if net.ParseIP(addr) != nil && strings.Contains(addr, ":") {
			return "", 0, fmt.Errorf("%q: an IPv6 address stands in brackets, a port behind it: write %s", addr, bracketed(addr))
		}
		return "", 0, fmt.Errorf("%q is no address: write HOST:PORT, for example 127.0.0.1:7000", addr)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%q: the port must be a number from 1 to 65535", addr)
	}
	if !validHost(host) {
		return "", 0, fmt.Errorf("%q: %q is no host name or address", addr, host)
	}
	return host, int(n), nil
}

// bracketed is what somebody may have meant by an IPv6 address without brackets.
func bracketed(addr string) string {
	whole := "[" + addr + "]:PORT"
	last := strings.LastIndexByte(addr, ':')
	if _, err := strconv.ParseUint(addr[last+1:], 10, 16); err != nil || net.ParseIP(addr[:last]) == nil {
		return whole
	}
	return "[" + addr[:last] + "]" + addr[last:] + ", or " + whole
}

// validHost accepts IP addresses, host names and nothing, which is the wildcard.
func validHost(host string) bool {
	if strings.Contains(host, ":") {
		_, err := netip.ParseAddr(host)
		return err == nil
	}
	if host != "" && strings.Trim(host, "0123456789.") == "" {
		_, err := netip.ParseAddr(host)
		return err == nil
	}
	for _, label := range strings.Split(host, ".") {
		if strings.Trim(label, "-_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
			return false
		}
	}
	return len(host) <= 253
}

func isWildcard(host string) bool {
	if host == "" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsUnspecified()
}

// isLoopback says whether only this machine can reach what listens on host. A
// name counts only if all its addresses do; the error says that it has none.
func isLoopback(host string) (bool, error) {
	if host == "localhost" {
		return true, nil
	}
	if host == "" {
		return false, nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback(), nil
	}
	ips, err := net.LookupIP(host)
	for _, ip := range ips {
		if !ip.IsLoopback() {
			return false, err
		}
	}
	return true, err
}
