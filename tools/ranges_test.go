package tools

import (
	"net/netip"
	"testing"
)

// The first and last address of every network that is not the public internet,
// and the public neighbours on either side.
func TestGuardKnowsEveryRange(t *testing.T) {
	g := newGuard(nil)
	refused := map[string][2]string{
		"this network":            {"0.0.0.0", "0.255.255.255"},
		"private":                 {"10.0.0.0", "10.255.255.255"},
		"shared by carriers":      {"100.64.0.0", "100.127.255.255"},
		"loopback":                {"127.0.0.0", "127.255.255.255"},
		"link-local":              {"169.254.0.0", "169.254.255.255"},
		"private, 172":            {"172.16.0.0", "172.31.255.255"},
		"protocol assignments":    {"192.0.0.0", "192.0.0.255"},
		"documentation 1":         {"192.0.2.0", "192.0.2.255"},
		"6to4 relays":             {"192.88.99.0", "192.88.99.255"},
		"private, 192":            {"192.168.0.0", "192.168.255.255"},
		"benchmarks":              {"198.18.0.0", "198.19.255.255"},
		"documentation 2":         {"198.51.100.0", "198.51.100.255"},
		"documentation 3":         {"203.0.113.0", "203.0.113.255"},
		"multicast":               {"224.0.0.0", "239.255.255.255"},
		"reserved, and broadcast": {"240.0.0.0", "255.255.255.255"},
		"Azure's host":            {"168.63.129.16", "168.63.129.16"},
		"unspecified, loopback":   {"::", "::1"},
		"IPv4-compatible":         {"::", "::ffff:ffff"},
		"IPv4-mapped, private":    {"::ffff:10.0.0.0", "::ffff:10.255.255.255"},
		"IPv4-mapped, loopback":   {"::ffff:127.0.0.0", "::ffff:127.255.255.255"},
		"NAT64":                   {"64:ff9b::", "64:ff9b::ffff:ffff"},
		"NAT64 of one's own":      {"64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"},
		"discard":                 {"100::", "100::ffff:ffff:ffff:ffff"},
		"dummy":                   {"100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff"},
		"Teredo":                  {"2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"},
		"ORCHIDv2":                {"2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff"},
		"documentation":           {"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
		"documentation, new":      {"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"6to4":                    {"2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"segment routing":         {"5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"unique local":            {"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"link-local IPv6":         {"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"site-local":              {"fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"multicast IPv6":          {"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	}
	for name, ends := range refused {
		for _, end := range ends {
			if g.permits("a.example:80", netip.AddrPortFrom(netip.MustParseAddr(end), 80)) {
				t.Errorf("%s: %s is permitted", name, end)
			}
		}
	}
	for _, public := range []string{
		"1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0",
		"172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
		"168.63.129.15", "::ffff:1.1.1.1", "2001:200::", "2001:db9::", "2003::", "2606:4700::1111", "3fff:1000::",
	} {
		if !g.permits("a.example:80", netip.AddrPortFrom(netip.MustParseAddr(public), 80)) {
			t.Errorf("%s is refused", public)
		}
	}
}
