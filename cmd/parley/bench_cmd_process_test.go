//go:build integration && unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/cmd/parley/bench"
)

func TestBenchStartsAParleyOfItsOwn(t *testing.T) {
	t.Parallel()
	redis := procStartRedis(t)
	tests := map[string]struct {
		args  []string
		leave bool
	}{
		"one":               {[]string{"--", "--gather", "10ms"}, false},
		"three, one leaves": {[]string{"--redis", redis.url(), "--replicas", "3", "--drain", "--duration", "3s"}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"bench", "--idle", "30", "--answers", "6", "--duration", "1s", "--length", "500ms", "--settle", "0s", "--json"}, tt.args...)
			r := procRun(t, []string{"HOME=" + t.TempDir(), "PARLEY_STORE=/nowhere/that.db"}, "", args...)
			var report bench.Report
			if err := json.Unmarshal([]byte(r.out), &report); err != nil || r.code != exitOK || !report.Clean || report.Finished < 12 {
				t.Fatalf("exit %d, %s%s", r.code, r.out, r.errOut)
			}
			if came := report.Reconnects > 0; came != tt.leave {
				t.Errorf("%d connections came back", report.Reconnects)
			}
		})
	}
}

func TestBenchPrintsWhatItHasWhenInterrupted(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(procProgram(t), "bench", "--idle", "10", "--answers", "2", "--duration", "1h", "--length", "500ms", "--settle", "0s")
	cmd.Env = []string{"HOME=" + t.TempDir()}
	var out bytes.Buffer
	cmd.Stdout = &out
	told, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
	for lines := bufio.NewScanner(told); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "Measuring") {
			_ = cmd.Process.Signal(syscall.SIGINT)
		}
	}
	_ = cmd.Wait()
	if got := out.String(); cmd.ProcessState.ExitCode() != exitInterrupted || !strings.Contains(got, "as far as it went") || !strings.Contains(got, "0 failed") {
		t.Errorf("%v:\n%s", cmd.ProcessState, got)
	}
}
