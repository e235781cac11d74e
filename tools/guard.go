package tools

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// refusedRanges are the networks that are not the public internet, besides
// those that [netip.Addr] knows by itself: the IANA special-purpose
// registries, the prefixes that carry an IPv4 address inside an IPv6 one, and
// Azure's metadata host, which lies in public space.
var refusedRanges = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "168.63.129.16/32", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32",
	"2002::/16", "3fff::/20", "5f00::/16", "fec0::/10", "100:0:0:1::/64",
)

// neverByName are ranges that an allowed name may not lead to: whoever answers
// for the name in DNS must not reach a cloud's metadata service with it.
var neverByName = prefixes("0.0.0.0/8", "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "240.0.0.0/4", "::/96", "fd00:ec2::254/128")

func prefixes(ss ...string) []netip.Prefix {
	ps := make([]netip.Prefix, len(ss))
	for i, s := range ss {
		ps[i] = netip.MustParsePrefix(s)
	}
	return ps
}

// A guard decides which addresses may be dialled. It does not change.
type guard struct {
	names map[string]bool // "host:port" that may lead into a private network
	addrs map[netip.AddrPort]bool
}

// newGuard leaves out entries that are no host:port: they allow nothing.
func newGuard(allow []string) guard {
	g := guard{names: map[string]bool{}, addrs: map[netip.AddrPort]bool{}}
	for _, entry := range allow {
		host, port, err := splitAllowance(entry)
		if err != nil {
			continue
		}
		switch addr, err := netip.ParseAddr(host); {
		case err == nil:
			g.addrs[netip.AddrPortFrom(plain(addr), port)] = true
		case host == "localhost":
			// What localhost means is not left to DNS.
			g.addrs[netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)] = true
			g.addrs[netip.AddrPortFrom(netip.IPv6Loopback(), port)] = true
		default:
			g.names[fmt.Sprintf("%s:%d", host, port)] = true
		}
	}
	return g
}

// CheckAllow returns an error that names the first entry of allow that is not
// of the form host:port.
func CheckAllow(allow []string) error {
	for _, entry := range allow {
		if _, _, err := splitAllowance(entry); err != nil {
			return fmt.Errorf("tools: allowed address %q: %w", entry, err)
		}
	}
	return nil
}

func splitAllowance(entry string) (host string, port uint16, err error) {
	host, p, err := net.SplitHostPort(strings.TrimSpace(entry))
	if err != nil {
		return "", 0, errors.New("must be host:port, such as localhost:8080")
	}
	n, err := net.LookupPort("tcp", p)
	if err != nil || n < 1 || host == "" || strings.ContainsAny(host, "*/@ ") {
		return "", 0, errors.New("must be one host and one port, such as localhost:8080")
	}
	return canonicalHost(host), uint16(n), nil
}

func canonicalHost(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// permits reports whether the address may be dialled for what was asked, a
// host:port. A private address is permitted only if what was asked for is
// allowed: by itself, if it is an address or localhost, or by its name. So a
// name that nobody allowed never leads into a private network, even to an
// address that is allowed.
func (g guard) permits(asked string, dialled netip.AddrPort) bool {
	addr := plain(dialled.Addr())
	if public(addr) {
		return true
	}
	host, port, err := net.SplitHostPort(asked)
	if err != nil {
		return false
	}
	host = canonicalHost(host)
	if _, err := netip.ParseAddr(host); err == nil || host == "localhost" {
		return g.addrs[netip.AddrPortFrom(addr, dialled.Port())]
	}
	return g.names[net.JoinHostPort(host, port)] && !mustNotBeNamed(addr)
}

// check is [guard.permits] for the strings that a [net.Dialer] hands to its
// Control.
func (g guard) check(asked, dialled string) error {
	addr, err := netip.ParseAddrPort(dialled)
	if err != nil || !g.permits(asked, addr) {
		return &RefusedError{Host: asked}
	}
	return nil
}

func public(a netip.Addr) bool {
	return a.IsValid() && !a.IsLoopback() && !a.IsPrivate() && !special(a) && !within(a, refusedRanges)
}

func special(a netip.Addr) bool {
	return a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast()
}

func mustNotBeNamed(a netip.Addr) bool {
	return special(a) || (!a.IsLoopback() && within(a, neverByName))
}

func within(a netip.Addr, ps []netip.Prefix) bool {
	for _, p := range ps {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// A RefusedError says that a host was not called because it is in a private
// or reserved network. Its text names what was asked for, never the address
// that it led to.
type RefusedError struct {
	Host string // host:port as asked for
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the host %s is in a private or reserved network, which tools may not call; the operator can allow it with PARLEY_EGRESS_ALLOW=%s", e.Host, e.Host)
}
