//go:build linux

package network

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
)

// Refuse has a side's node be refused, from now on, whatever it sends to another
// node's host, as by a firewall that rejects: new connections end with "connection
// refused", existing ones are reset once it sends anything on them. What the other
// sends still arrives. A path that was refused twice passes once it was allowed twice.
func (n *Network) Refuse(paths []Path) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range paths {
		if n.refused[p] == 0 {
			if err := n.shadow(p, (*netlink.Handle).RouteAdd); err != nil {
				return fmt.Errorf("refuse %v: %w", p, err)
			}
		}
		n.refused[p]++
	}
	return nil
}

// Allow takes back one Refuse of the same paths.
func (n *Network) Allow(paths []Path) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range paths {
		switch n.refused[p] {
		case 0:
			return fmt.Errorf("%v is not refused", p)
		case 1:
			if err := n.shadow(p, (*netlink.Handle).RouteDel); err != nil {
				return fmt.Errorf("allow %v: %w", p, err)
			}
		}
		n.refused[p]--
	}
	return nil
}

// shadow changes the route by which a node's host takes another's address for its
// own: what is sent there finds no listener, and the kernel says so. The host must
// take packets all the same that come from that address.
func (n *Network) shadow(p Path, change func(*netlink.Handle, *netlink.Route) error) error {
	host := n.sides[p.From].node
	nl, err := host.netlink()
	if err != nil {
		return err
	}
	defer nl.Close()
	lo, err := nl.LinkByName("lo")
	if err != nil {
		return err
	}
	to := n.sides[p.To].subnet()
	to.IP = n.sides[p.To].address(nodeHost).To4()
	to.Mask[3] = 0xff
	return errors.Join(
		host.do(func() error { return os.WriteFile("/proc/sys/net/ipv4/conf/all/accept_local", []byte("1"), 0) }),
		change(nl, &netlink.Route{Dst: to, LinkIndex: lo.Attrs().Index, Type: syscall.RTN_LOCAL, Table: syscall.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST}),
	)
}
