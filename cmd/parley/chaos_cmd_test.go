//go:build integration && unix

package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// parley chaos finds nothing wrong with two replicas, of which one is killed
// and started again, and something with two servers that know nothing of each
// other.
func TestChaosCommand(t *testing.T) {
	t.Parallel()
	redis, file := procStartRedis(t), t.TempDir()+"/parley.db"
	env := []string{"PARLEY_REDIS=" + redis.url(), "PARLEY_STORE=" + file}
	a, b := procServe(t, env...), procServe(t, env...)
	url := a.url + "," + b.url
	r := procRun(t, a.env, "", "chaos", "--url", url, "--rounds", "1", "--talks", "3",
		"--kill", fmt.Sprintf("kill -9 %d", b.cmd.Process.Pid))
	if r.code != 0 || !regexp.MustCompile(`(?m)^in all +1 +3 +12 +0 +0 +0 +0 +0 `).MatchString(r.out) {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.errOut)
	}
	alone := procServe(t)
	r = procRun(t, a.env, "", "chaos", "--url", a.url+","+alone.url, "--rounds", "1", "--talks", "2", "--patience", "3s")
	if r.code != exitFailed || !strings.Contains(r.errOut, "something was wrong") {
		t.Errorf("two servers apart: exit %d\n%s%s", r.code, r.out, r.errOut)
	}
}
