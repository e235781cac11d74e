package main

import (
	"strings"
	"testing"
)

func TestChaosUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		says string
	}{
		{nil, "--url"},
		{[]string{"--url", "ftp://x"}, "not the URL of a server"},
		{[]string{"--url", "http://x", "--rounds", "0"}, "at least 1"},
		{[]string{"--url", "http://x", "--restart", "true"}, "more --restart than --kill"},
		{[]string{"--url", "http://x", "more"}, "flags only"},
	} {
		r := program(t, nil, "", append([]string{"chaos"}, tt.args...)...)
		if r.code != exitUsage || !strings.Contains(r.errOut, tt.says) {
			t.Errorf("%q: exit %d, %s", tt.args, r.code, r.errOut)
		}
	}
}
