package tools_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"parley/tools"
	"parley/tools/toolstest"
)

// names is a name server that knows these names; what is not there does not
// exist. It is spoken to in DNS, over a pipe.
type names map[string]string

func (n names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go n.answer(server) // ends with the connection, which the resolver closes
		return client, nil
	}}
}

func (n names) answer(conn net.Conn) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, int(size[0])<<8|int(size[1]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		reply := n.reply(query)
		if _, err := conn.Write(append([]byte{byte(len(reply) >> 8), byte(len(reply))}, reply...)); err != nil {
			return
		}
	}
}

func (n names) reply(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}
	m.Additionals = nil
	q := m.Questions[0]
	ip, err := netip.ParseAddr(n[strings.TrimSuffix(strings.ToLower(q.Name.String()), ".")])
	header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}
	switch {
	case err != nil:
		m.RCode = dnsmessage.RCodeNameError
	case ip.Is4() && q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: ip.As4()}}}
	case ip.Is6() && q.Type == dnsmessage.TypeAAAA:
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}}}
	}
	b, _ := m.Pack()
	return b
}

func TestClientRefusesWhatIsNotPublic(t *testing.T) {
	dns := names{
		"rebind.example": "127.0.0.1", "meta.example": "169.254.169.254", "lan.example": "10.1.2.3", "six.example": "fd00::1",
		"mapped.example": "::ffff:192.168.1.1", "cgnat.example": "100.64.3.2", "localhost": "127.0.0.1", "0x7f000001": "127.0.0.1",
	}
	client := tools.NewClient(tools.ClientOptions{Resolver: dns.resolver()})
	for _, address := range []string{
		"http://127.0.0.1/", "http://127.0.0.1:22/", "http://127.1.2.3/", "http://0.0.0.0/", "http://0.1.2.3/",
		"http://10.0.0.1/", "http://172.16.0.1/", "http://172.31.255.255/", "http://192.168.0.1/", "http://169.254.169.254/latest/meta-data/",
		"http://100.64.0.1/", "http://100.100.100.200/", "http://168.63.129.16/", "http://192.0.0.192/", "http://192.0.2.1/", "http://192.88.99.1/",
		"http://198.18.0.1/", "http://198.51.100.7/", "http://203.0.113.9/", "http://224.0.0.1/", "http://240.0.0.1/", "http://255.255.255.255/",
		"http://[::1]/", "http://[::]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[0:0:0:0:0:ffff:a9fe:a9fe]/", "http://[::127.0.0.1]/",
		"http://[64:ff9b::7f00:1]/", "http://[64:ff9b:1::1]/", "http://[100::1]/", "http://[2001::1]/", "http://[2001:db8::1]/", "http://[2002:7f00:1::]/",
		"http://[3fff::1]/", "http://[5f00::1]/", "http://[fc00::1]/", "http://[fd00:ec2::254]/", "http://[fe80::1]/", "http://[fe80::1%25lo]/", "http://[fec0::1]/", "http://[ff02::1]/",
		"http://localhost/", "http://LOCALHOST./", "http://rebind.example/", "http://rebind.example.:8080/", "http://meta.example/", "http://lan.example/",
		"http://six.example/", "http://mapped.example/", "http://cgnat.example/",
		"http://①②⑦.0.0.1/", "http://127。0。0。1/", "http://0x7f000001/", "https://127.0.0.1/", "http://user@127.0.0.1/",
	} {
		t.Run(address, func(t *testing.T) {
			req, err := http.NewRequest(http.MethodGet, address, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err == nil {
				resp.Body.Close()
				t.Fatal("it was called")
			}
			var refused *tools.RefusedError
			if !errors.As(err, &refused) {
				t.Fatalf("failed otherwise: %v", err)
			}
			reason := tools.Reason(err)
			mustContain(t, "the reason", reason, "private", "PARLEY_EGRESS_ALLOW=")
			if strings.HasSuffix(req.URL.Hostname(), ".example") && (strings.Contains(reason, "169.254") || strings.Contains(reason, "10.1.2.3")) {
				t.Errorf("the reason shows the address behind the name: %s", reason)
			}
		})
	}
}

// Spellings of addresses that must not connect, whether by parser, DNS or
// guard.
func TestClientConnectsToNoStrangeSpelling(t *testing.T) {
	inside := httptest.NewServer(toolstest.Nasty())
	defer inside.Close()
	_, port, _ := net.SplitHostPort(host(t, inside.URL))
	client := tools.NewClient(tools.ClientOptions{Resolver: names{}.resolver()})
	for _, host := range []string{"0177.0.0.1", "0x7f.0.0.1", "127.1", "127.0.1", "2130706433", "017700000001", "0", "127.0.0.1.", "127.0.0.1%00.example.com", "[::1%25lo]", "127.0.0.1\t", "[::ffff:127.0.0.1]"} {
		req, err := http.NewRequest(http.MethodGet, "http://"+host+":"+port+"/echo", nil)
		if err != nil {
			continue
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			t.Errorf("%s was called", host)
		}
	}
}

func TestClientAllows(t *testing.T) {
	s := httptest.NewServer(toolstest.Nasty())
	defer s.Close()
	_, port, _ := net.SplitHostPort(host(t, s.URL))
	dns := names{"localhost": "127.0.0.1", "rag": "127.0.0.1", "evil.example": "127.0.0.1", "meta": "169.254.169.254"}
	tests := map[string]struct {
		allow, ask string
		want       bool
	}{
		"an address by that address":                 {"127.0.0.1", "127.0.0.1", true},
		"localhost by an address":                    {"127.0.0.1", "localhost", true},
		"an address by localhost":                    {"localhost", "127.0.0.1", true},
		"an IPv4-mapped address":                     {"127.0.0.1", "[::ffff:127.0.0.1]", true},
		"localhost by name":                          {"localhost", "localhost", true},
		"localhost in capitals":                      {"LocalHost", "LOCALHOST", true},
		"a name by that name":                        {"rag", "rag", true},
		"no foreign name that leads to an address":   {"127.0.0.1", "evil.example", false},
		"no foreign name that leads to localhost":    {"localhost", "evil.example", false},
		"no foreign name beside an allowed name":     {"rag", "evil.example", false},
		"no address behind an allowed name":          {"rag", "127.0.0.1", false},
		"no metadata service behind an allowed name": {"meta", "meta", false},
		"no other address":                           {"127.0.0.2", "127.0.0.1", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client := tools.NewClient(tools.ClientOptions{Allow: []string{test.allow + ":" + port}, Resolver: dns.resolver()})
			defer client.CloseIdle()
			req, _ := http.NewRequest(http.MethodGet, "http://"+test.ask+":"+port+"/echo", nil)
			resp, err := client.Do(req)
			if err == nil {
				resp.Body.Close()
			}
			var refused *tools.RefusedError
			if (err == nil) != test.want || errors.As(err, &refused) == test.want {
				t.Errorf("err %v", err)
			}
		})
	}
	t.Run("no other port", func(t *testing.T) {
		client := tools.NewClient(tools.ClientOptions{Allow: []string{"127.0.0.1:1", "localhost:2"}})
		if _, err := client.HTTP().Get(s.URL + "/echo"); err == nil {
			t.Error("it was called")
		}
	})
}

func TestClientDialHookIsGuardedToo(t *testing.T) {
	dialled := ""
	client := tools.NewClient(tools.ClientOptions{
		Resolver: names{"out.example": "93.184.216.34", "in.example": "10.0.0.1"}.resolver(),
		Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = address
			return nil, io.ErrUnexpectedEOF
		},
	})
	for address, want := range map[string]string{"http://out.example/": "93.184.216.34:80", "http://in.example/": "", "http://127.0.0.1/": ""} {
		dialled = ""
		if _, err := client.HTTP().Get(address); err == nil || dialled != want {
			t.Errorf("%s: dialled %q, err %v", address, dialled, err)
		}
	}
}

// net/http reads HTTP_PROXY once a process, so that a test cannot set it.
func TestClientUsesNoProxy(t *testing.T) {
	transport, ok := tools.NewClient(tools.ClientOptions{}).HTTP().Transport.(*http.Transport)
	if !ok || transport.Proxy != nil {
		t.Error("HTTP_PROXY would carry calls past the guard")
	}
}

func TestCheckAllow(t *testing.T) {
	if err := tools.CheckAllow([]string{"localhost:8080", "[::1]:80", "10.0.0.1:443", "rag:8081"}); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "localhost", "10.0.0.0/8:80", "*:80", ":80", "host:0", "host:99999", "http://host:80", "a b:80"} {
		if err := tools.CheckAllow([]string{bad}); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestReasonShowsNoURL(t *testing.T) {
	base, _ := nasty(t)
	for _, address := range []string{base + "/echo?key=canary", "http://nowhere.invalid/?key=canary", "ftp://x/?key=canary", base + "/hangup?key=canary"} {
		client := tools.NewClient(tools.ClientOptions{Timeout: 2 * time.Second, Resolver: names{}.resolver(), Allow: []string{host(t, base)}})
		if strings.Contains(address, "/echo") {
			client = tools.NewClient(tools.ClientOptions{})
		}
		_, err := client.HTTP().Get(address)
		if err == nil {
			t.Errorf("%s did not fail", address)
			continue
		}
		if reason := tools.Reason(err); strings.Contains(reason, "canary") || reason == "" {
			t.Errorf("%s: %q", address, reason)
		}
	}
}
