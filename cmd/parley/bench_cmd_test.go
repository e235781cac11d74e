package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"parley/cmd/parley/bench"
	"parley/cmd/parley/client"
)

// benchable starts a Parley whose model is at an address, and returns where
// it is.
func benchable(t *testing.T, model string, env ...string) (url, ops string) {
	t.Helper()
	ops = modelAddr(t)
	home := t.TempDir()
	s, err := newLoader(append([]string{
		"HOME=" + home, "PARLEY_DATA=" + home, "PARLEY_STORE=:memory:", "PARLEY_ADDR=127.0.0.1:0", "PARLEY_OPS_ADDR=" + ops, "PARLEY_LOG=error",
		"PARLEY_ADMIN_TOKEN=" + testToken, "PARLEY_MODEL=bench", "PARLEY_MODEL_URL=http://" + model + "/v1", "PARLEY_TITLES=false",
	}, env...)).load()
	if err != nil {
		t.Fatal(err)
	}
	out, stdout := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		stdout.CloseWithError(serve(ctx, s, stdout, io.Discard))
	})
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	wg.Go(func() { _, _ = io.Copy(io.Discard, lines) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	_, url, _ = strings.Cut(strings.TrimSpace(line), "listens on ")
	return url, ops
}

// benched runs a small `parley bench` against addresses.
func benched(t *testing.T, model, urls string, args ...string) (bench.Report, ran) {
	t.Helper()
	r := program(t, nil, "", append([]string{
		"bench", "--url", urls, "--token", testToken, "--model-addr", model, "--json",
		"--idle", "6", "--answers", "3", "--followers", "2", "--duration", "1s", "--length", "200ms", "--settle", "0s",
	}, args...)...)
	var report bench.Report
	if r.out != "" {
		if err := json.Unmarshal([]byte(r.out), &report); err != nil {
			t.Fatalf("%v in %s", err, r.out)
		}
	}
	return report, r
}

// modelAddr returns an address that nobody listens on.
func modelAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestBenchMeasuresARunningParley(t *testing.T) {
	model := modelAddr(t)
	url, ops := benchable(t, model)
	r, got := benched(t, model, url, "--ops", ops)
	if got.code != exitOK || !r.Clean || r.Failed+r.Unended+r.Holes+r.Doubles+r.Garbled != 0 {
		t.Fatalf("exit %d, %s%s", got.code, got.out, got.errOut)
	}
	if r.Finished < 6 || r.PiecesPerSecond < 50 || r.Age.Count < 50 || r.Age.P99 <= 0 || r.Age.Max < r.Age.P50 || r.FirstAdded.Count < 6 {
		t.Errorf("too little was heard: %s", got.out)
	}
	if r.Replicas == nil || r.Replicas.ResidentMiB < 1 || r.IdleKiB == nil {
		t.Errorf("what Parley costs is not told: %s", got.out)
	}
	var left struct{ Conversations []any }
	u, _ := serverURL(url)
	if err := client.New(client.Target{URL: u, Token: testToken}).Get(t.Context(), "/v1/conversations", nil, &left); err != nil || len(left.Conversations) > 0 {
		t.Errorf("%d conversations were left behind, %v", len(left.Conversations), err)
	}
}

// A lossy proxy stands before a Parley and spoils one frame of text.
func lossyProxy(t *testing.T, to string, spoil func(b []byte) [][]byte) string {
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	var texts atomic.Int64
	rest := httputil.NewSingleHostReverseProxy(u)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/ws" {
			rest.ServeHTTP(w, r)
			return
		}
		o := &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": r.Header["Authorization"]}, Subprotocols: []string{client.Subprotocol}}
		server, _, err := websocket.Dial(r.Context(), to+"/v1/ws", o)
		if err != nil {
			t.Error(err)
			return
		}
		defer server.CloseNow()
		client, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{client.Subprotocol}})
		if err != nil {
			t.Error(err)
			return
		}
		defer client.CloseNow()
		go func() {
			defer server.CloseNow()
			pipeFrames(r.Context(), client, server, func(b []byte) [][]byte { return [][]byte{b} })
		}()
		pipeFrames(r.Context(), server, client, func(b []byte) [][]byte {
			if bytes.Contains(b, []byte("TEXT_MESSAGE_CONTENT")) && texts.Add(1) == 20 {
				return spoil(b)
			}
			return [][]byte{b}
		})
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// pipeFrames hands frames on until one side ends.
func pipeFrames(ctx context.Context, from, to *websocket.Conn, change func(b []byte) [][]byte) {
	from.SetReadLimit(-1)
	for {
		_, b, err := from.Read(ctx)
		if err != nil {
			return
		}
		for _, out := range change(b) {
			if to.Write(ctx, websocket.MessageText, out) != nil {
				return
			}
		}
	}
}

func TestBenchNoticesWhatGoesWrong(t *testing.T) {
	tests := map[string]struct {
		spoil func(b []byte) [][]byte
		wrong func(r bench.Report) bool
		says  string
	}{
		"a frame that is lost":     {func([]byte) [][]byte { return nil }, func(r bench.Report) bool { return r.Holes > 0 }, "missed"},
		"a frame that comes twice": {func(b []byte) [][]byte { return [][]byte{b, b} }, func(r bench.Report) bool { return r.Doubles > 0 }, "doubled"},
		"a text that is changed": {func(b []byte) [][]byte {
			i := bytes.Index(b, []byte(`"delta":"`)) + len(`"delta":"`)
			b[i] = '?'
			return [][]byte{b}
		}, func(r bench.Report) bool { return r.Garbled > 0 }, "piece"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			model := modelAddr(t)
			url, _ := benchable(t, model)
			r, got := benched(t, model, lossyProxy(t, url, tt.spoil), "--idle", "0")
			if got.code != exitFailed || r.Clean || !tt.wrong(r) || !strings.Contains(r.Reason, tt.says) {
				t.Errorf("exit %d, %s%s", got.code, got.out, got.errOut)
			}
		})
	}
}

func TestBenchSaysWhatIsMissing(t *testing.T) {
	model := modelAddr(t)
	url, _ := benchable(t, model, "PARLEY_MAX_CONNECTIONS_PER_PERSON=5")
	_, got := benched(t, model, url)
	if want := "PARLEY_MAX_CONNECTIONS_PER_PERSON=1000000"; got.code != exitFailed || !strings.Contains(got.errOut, want) {
		t.Errorf("with too many connections: exit %d, %s", got.code, got.errOut)
	}
	other := modelAddr(t)
	demo, _ := benchable(t, other, "PARLEY_MODEL=", "PARLEY_MODEL_URL=")
	_, got = benched(t, other, demo)
	if want := "PARLEY_MODEL_URL=http://" + other + "/v1"; got.code != exitFailed || !strings.Contains(got.errOut, "bench is not the model of the Parley at "+demo) || !strings.Contains(got.errOut, want) {
		t.Errorf("with a Parley that has another model: exit %d, %s", got.code, got.errOut)
	}
	if _, got = benched(t, other, demo, "--token", "not-the-token-of-this-one"); got.code != exitFailed || !strings.Contains(got.errOut, "PARLEY_ADMIN_TOKEN") {
		t.Errorf("with a wrong token: exit %d, %s", got.code, got.errOut)
	}
	nobody := modelAddr(t)
	if _, got = benched(t, modelAddr(t), "http://"+nobody); got.code != exitFailed || !strings.Contains(got.errOut, "no server answers at http://"+nobody) {
		t.Errorf("without a server: exit %d, %s", got.code, got.errOut)
	}
}

func TestBenchMistakes(t *testing.T) {
	for args, want := range map[string]string{
		"now":                               "bench takes flags only",
		"--own --url http://127.0.0.1:8080": "--own measures a Parley of bench's own",
		"--url ftp://x":                     "--url: \"ftp://x\" is not the URL of a server",
		"--url http://x --drain":            "without --url",
		"--ops 127.0.0.1:9090":              "--ops belongs to --url",
		"--replicas 2":                      "--redis",
		"--drain":                           "--replicas 2 or more",
		"--idle 0 --answers 0":              "nothing to measure",
		"--size 0":                          "--size is from 1 to 1024",
		"--rate 0":                          "--rate is from",
		"--rate NaN":                        "--rate is from",
		"--duration 1ms":                    "--duration is at least 1s",
		"--idle 2000000000":                 "ulimit -n",
		"--redis postgres://x":              "--redis: \"postgres://x\" ",
	} {
		t.Run(args, func(t *testing.T) {
			if r := program(t, nil, "", append([]string{"bench"}, strings.Fields(args)...)...); r.code != exitUsage || !strings.Contains(r.errOut, want) {
				t.Errorf("exit %d, %s; want %q", r.code, r.errOut, want)
			}
		})
	}
}

func TestBenchHelp(t *testing.T) {
	r := program(t, nil, "", "bench", "--help")
	if r.code != exitOK || r.errOut != "" {
		t.Errorf("exit %d, %s", r.code, r.errOut)
	}
	golden(t, "bench_help.txt", r.out)
	for line := range strings.SplitSeq(r.out, "\n") {
		if n := len([]rune(line)); n > 100 {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
}

func TestBenchReportIsReadable(t *testing.T) {
	kib := 11.25
	r := bench.Report{
		Clean: true, Addresses: 2, Idle: 10_000, Answers: 100, Followers: 1, Rate: 50, Size: 4, Seconds: 30,
		PiecesPerSecond: 4999.7, FramesPerSecond: 3010, Age: bench.Times{Count: 150_000, P50: 17.25, P99: 36.4, Max: 81}, FirstAdded: bench.Times{Count: 300, P50: 2.31, P99: 7.9, Max: 12_345},
		Finished: 1300, Reconnects: 5000, MostDials: 512, AwayMs: 10_400, TurnedAway: 3, Rollbacks: 7, Snapshots: 2,
		Replicas: &bench.Use{CPUSecondsPerMillion: 30.1, CPUPercent: 15, ResidentMiB: 210}, Redis: &bench.Use{CPUSecondsPerMillion: 4.6, CPUPercent: 2}, Generator: &bench.Use{CPUSecondsPerMillion: 40, CPUPercent: 20, ResidentMiB: 90}, IdleKiB: &kib, Cores: 2, MachineLoad: .5,
	}
	var b bytes.Buffer
	if err := r.Print(&b, false); err != nil {
		t.Fatal(err)
	}
	r.Clean, r.Holes, r.Reason, r.Reconnects, r.TurnedAway, r.Rollbacks, r.Snapshots = false, 2, "missed: entry 7-9 came behind \"7-7\"", 0, 0, 0, 0
	if err := r.Print(&b, false); err != nil {
		t.Fatal(err)
	}
	golden(t, "bench_report.txt", b.String())
}
