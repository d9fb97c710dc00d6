//go:build linux

// Package network is a network of this process's own: one host for each node, one
// for that node's clients, each a network namespace with one link to a hub that
// routes between them. What goes from one side, a node and its clients, to another
// can be dropped silently or refused, each direction by itself, for old connections
// and new ones alike, and passes again later. Everything vanishes with the process. It
// knows nothing of what runs on the hosts.
package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
)

// dropPriority puts the hub's rules that drop before those that route.
const dropPriority = 100

// Network is a hub and the hosts around it.
type Network struct {
	hub   *space
	nl    *netlink.Handle // speaks to the hub's kernel tables
	sides []*Side

	mu      sync.Mutex
	dropped map[Path]int // guarded by mu; how often each path was cut and not mended
	refused map[Path]int // guarded by mu; the same of Refuse and Allow
}

// Path is what one side sends to another, by their positions.
type Path struct{ From, To int }

// New makes a network with so many sides. The process must have been started by
// Isolate.
func New(sides int) (*Network, error) {
	hub, err := newSpace()
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	n := &Network{hub: hub, dropped: map[Path]int{}, refused: map[Path]int{}}
	if n.nl, err = hub.netlink(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	if err := hub.do(route); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	for i := range sides {
		if err := n.addSide(i); err != nil {
			return nil, errors.Join(fmt.Errorf("side %d: %w", i, err), n.Close())
		}
	}
	if err := n.awaitLinks(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// awaitLinks waits until every link carries packets. The kernel looks for links
// that came up once a second, and drops what they are given before that.
func (n *Network) awaitLinks() error {
	for _, s := range n.sides {
		for _, host := range []*space{s.node, s.client} {
			nl, err := host.netlink()
			if err != nil {
				return err
			}
			err = awaitUp(nl)
			nl.Close()
			if err != nil {
				return err
			}
		}
	}
	return awaitUp(n.nl)
}

// awaitUp waits until all Ethernet links of a namespace are up.
func awaitUp(nl *netlink.Handle) error {
	const patience, pause = 20 * time.Second, 5 * time.Millisecond
	for end := time.Now().Add(patience); ; time.Sleep(pause) {
		links, err := nl.LinkList()
		if err != nil {
			return err
		}
		down := ""
		for _, l := range links {
			if a := l.Attrs(); a.Name != "lo" && a.OperState != netlink.OperUp && a.Flags&net.FlagUp != 0 {
				down = a.Name
			}
		}
		if down == "" {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("link %s did not come up within %s", down, patience)
		}
	}
}

// route has the namespace of this thread pass on what is not for itself. Paths
// that work one way only are wanted here, so where answers would go is not checked.
func route() error {
	for _, s := range []struct{ name, value string }{
		{"conf/all/rp_filter", "0"}, {"conf/default/rp_filter", "0"}, {"ip_forward", "1"},
	} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+s.name, []byte(s.value), 0); err != nil {
			return err
		}
	}
	return nil
}

// Side returns a side by its position, from 0.
func (n *Network) Side(i int) *Side { return n.sides[i] }

// Len is how many sides there are.
func (n *Network) Len() int { return len(n.sides) }

// Cut drops from now on what goes these ways. A path that was cut twice passes
// only once it was mended twice.
func (n *Network) Cut(paths []Path) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range paths {
		if n.dropped[p] == 0 {
			if err := n.nl.RuleAdd(n.rule(p)); err != nil {
				return fmt.Errorf("drop %v: %w", p, err)
			}
		}
		n.dropped[p]++
	}
	return nil
}

// Mend takes back one Cut of the same paths.
func (n *Network) Mend(paths []Path) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range paths {
		switch n.dropped[p] {
		case 0:
			return fmt.Errorf("%v is not cut", p)
		case 1:
			if err := n.nl.RuleDel(n.rule(p)); err != nil {
				return fmt.Errorf("pass %v: %w", p, err)
			}
		}
		n.dropped[p]--
	}
	return nil
}

// MendAll lets everything pass.
func (n *Network) MendAll() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var errs []error
	for p, times := range n.dropped {
		if times > 0 {
			errs = append(errs, n.nl.RuleDel(n.rule(p)))
		}
		delete(n.dropped, p)
	}
	for p, times := range n.refused {
		if times > 0 {
			errs = append(errs, n.shadow(p, (*netlink.Handle).RouteDel))
		}
		delete(n.refused, p)
	}
	return errors.Join(errs...)
}

// rule is the hub's routing rule that drops a path.
func (n *Network) rule(p Path) *netlink.Rule {
	r := netlink.NewRule()
	r.Family, r.Priority, r.Type = netlink.FAMILY_V4, dropPriority, syscall.RTN_BLACKHOLE
	r.Src, r.Dst = n.sides[p.From].subnet(), n.sides[p.To].subnet()
	return r
}

// Close ends the namespaces, and with them every process started in them.
func (n *Network) Close() error {
	for _, s := range n.sides {
		s.node.close()
		s.client.close()
	}
	if n.nl != nil {
		n.nl.Close()
	}
	n.hub.close()
	return nil
}

// Side is one node's host and the host of the clients next to it: a partition cuts
// off both together.
type Side struct {
	number       int
	node, client *space
}

// addSide makes the two hosts of a side: 10.9.N.0/30 is the node's link to the
// hub, 10.9.N.4/30 its clients'.
func (n *Network) addSide(number int) (err error) {
	s := &Side{number: number}
	if s.node, err = newSpace(); err != nil {
		return err
	}
	n.sides = append(n.sides, s)
	if s.client, err = newSpace(); err != nil {
		return err
	}
	if err := n.link(fmt.Sprintf("node%d", number), s.node, s.address(nodeHost)); err != nil {
		return err
	}
	return n.link(fmt.Sprintf("client%d", number), s.client, s.address(clientHost))
}

// The hosts of a side within its subnet; the hub's end of a link is the next one.
const (
	nodeHost   = 1
	clientHost = 5
)

func (s *Side) address(host byte) net.IP { return net.IPv4(10, 9, byte(s.number+1), host) }

func (s *Side) subnet() *net.IPNet {
	return &net.IPNet{IP: s.address(0).To4(), Mask: net.CIDRMask(24, 32)}
}

// link connects a host to the hub.
func (n *Network) link(name string, host *space, addr net.IP) error {
	veth := &netlink.Veth{LinkAttrs: netlink.NewLinkAttrs(), PeerName: "up", PeerNamespace: netlink.NsFd(int(host.handle))}
	veth.Name = name
	if err := n.nl.LinkAdd(veth); err != nil {
		return fmt.Errorf("veth %s: %w", name, err)
	}
	gateway := net.IPv4(addr.To4()[0], addr.To4()[1], addr.To4()[2], addr.To4()[3]+1)
	if err := configure(n.nl, name, gateway); err != nil {
		return err
	}
	there, err := host.netlink()
	if err != nil {
		return err
	}
	defer there.Close()
	if err := configure(there, "lo", nil); err != nil {
		return err
	}
	if err := configure(there, "up", addr); err != nil {
		return err
	}
	return there.RouteAdd(&netlink.Route{Gw: gateway})
}

// configure gives a link its address, if any, and brings it up.
func configure(nl *netlink.Handle, name string, addr net.IP) error {
	l, err := nl.LinkByName(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if addr != nil {
		a := &netlink.Addr{IPNet: &net.IPNet{IP: addr.To4(), Mask: net.CIDRMask(30, 32)}}
		if err := nl.AddrAdd(l, a); err != nil {
			return fmt.Errorf("address of %s: %w", name, err)
		}
	}
	if err := nl.LinkSetUp(l); err != nil {
		return fmt.Errorf("%s up: %w", name, err)
	}
	return nil
}

// Host is the IP address of the side's node.
func (s *Side) Host() string { return s.address(nodeHost).String() }

// Start starts a process on the node's host. It is killed when the network is
// closed or this process ends.
func (s *Side) Start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return s.node.do(cmd.Start)
}

// Dial connects from the clients' host of this side; address is an IP and a port.
func (s *Side) Dial(ctx context.Context, address string) (net.Conn, error) {
	return s.client.dial(ctx, address)
}

// DialLocal connects from the node's own host, which no cut concerns.
func (s *Side) DialLocal(ctx context.Context, address string) (net.Conn, error) {
	return s.node.dial(ctx, address)
}

// Listen listens on a port of the node's host.
func (s *Side) Listen(port int) (ln net.Listener, err error) {
	err = s.node.do(func() error {
		ln, err = net.Listen("tcp4", fmt.Sprintf("%s:%d", s.Host(), port))
		return err
	})
	return ln, err
}
