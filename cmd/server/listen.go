package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// listen binds an address; flag is the one that moves it.
func listen(flag, addr string) (*net.TCPListener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, explainListen(flag, addr, err)
	}
	return ln.(*net.TCPListener), nil
}

// explainListen says what to do about an address that cannot be listened on.
func explainListen(flag, addr string, err error) error {
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is taken: stop what listens there, or choose another port with %s HOST:PORT", addr, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s is no address of this machine: choose one with %s HOST:PORT", addr, flag)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listening on %s is not permitted: choose a port above 1023 with %s HOST:PORT", addr, flag)
	case errors.As(err, &dns):
		return fmt.Errorf("the host of %s cannot be resolved: correct %s HOST:PORT", addr, flag)
	}
	return fmt.Errorf("cannot listen on %s: %w (%s chooses it)", addr, err, flag)
}

// announced is the address to tell others: port 0 was a wish for any port, so the
// one that the system chose takes its place.
func announced(advertise string, ln net.Listener) string {
	host, port, err := net.SplitHostPort(advertise)
	if err != nil || port != "0" {
		return advertise
	}
	_, chosen, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return advertise
	}
	return net.JoinHostPort(host, chosen)
}
