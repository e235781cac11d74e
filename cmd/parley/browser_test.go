//go:build integration && unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"parley/tools"
	"parley/tools/toolstest"
)

// browserArtifacts is where the pictures go.
func browserArtifacts(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../artifacts")
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// browserProgram is the Chromium to use.
func browserProgram(t *testing.T) string {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}
	if path := os.Getenv("CHROMIUM"); path != "" {
		names = []string{path}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("none of %s is installed", strings.Join(names, ", "))
	return ""
}

// browserWeather gives a server the weather tool once more, with a stand-in
// for the services behind it, since the tests reach no network.
func browserWeather(t *testing.T) (allow string, put func(*procServer)) {
	t.Helper()
	srv := httptest.NewServer(&toolstest.OpenMeteo{})
	t.Cleanup(srv.Close)
	at, _ := url.Parse(srv.URL)
	b, err := json.Marshal(tools.Weather(srv.URL, srv.URL))
	if err != nil {
		t.Fatal(err)
	}
	return at.Host, func(s *procServer) {
		var e map[string]any
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatal(err)
		}
		e["name"] = "city_weather"
		e["description"] = "What the weather will be in a city: the forecast for a day, tomorrow for example. " + e["description"].(string)
		procPut(t, s, "city_weather", e)
	}
}

// The tests that the page has of its own, against the real program; the pictures are kept.
func TestPageEndToEnd(t *testing.T) {
	t.Parallel()
	allow, put := browserWeather(t)
	s := procServe(t, "PARLEY_EGRESS_ALLOW="+allow)
	put(s)
	cmd := exec.CommandContext(t.Context(), "../../.ci/page", "e2e") // it leaves them out, and says so, if there is no Node
	cmd.Env = append(os.Environ(), "PARLEY_URL="+s.url, "ARTIFACTS="+browserArtifacts(t), "CHROMIUM="+browserProgram(t), "NO_COLOR=1", "PARLEY_WEATHER=1")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// browserOpen starts Chromium with an empty page.
func browserOpen(t *testing.T) context.Context {
	t.Helper()
	flags := slices.Concat(chromedp.DefaultExecAllocatorOptions[:], []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(browserProgram(t)), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	})
	if os.Getuid() == 0 {
		flags = append(flags, chromedp.NoSandbox)
	}
	ctx, stop := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewExecAllocator(ctx, flags...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	return ctx
}

// A browserPage is a page open in Chromium.
type browserPage struct {
	t   *testing.T
	ctx context.Context
}

// texts returns the texts of elements.
func (p browserPage) texts(selector string) []string {
	p.t.Helper()
	all, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]string](fmt.Sprintf("[...document.querySelectorAll(%q)].map(e => e.innerText.trim())", selector)))
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

// until waits for an element whose text has something in it.
func (p browserPage) until(what, selector, text string) {
	p.t.Helper()
	procUntil(p.t, 30*time.Second, what, func() bool {
		return slices.ContainsFunc(p.texts(selector), func(s string) bool { return strings.Contains(s, text) })
	})
}

func (p browserPage) shot(name string) {
	p.t.Helper()
	b, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(browserArtifacts(p.t), name+".png"), b, 0o644)
	}
	if err != nil {
		p.t.Error(err)
	}
}

func (p browserPage) do(action chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if _, err := chromedp.Run(p.ctx, action); err != nil {
		p.t.Fatal(err)
	}
}

// The page stays open while its server is killed and started again: it ends
// with the whole answer, once, and without being touched.
func TestPageSurvivesItsServer(t *testing.T) {
	t.Parallel()
	const words, ended = 120, ".turn:last-of-type .foot-row"
	s := procServe(t, procModelEnv(procModel(t, words, 15*time.Millisecond))...)
	page := browserPage{t, browserOpen(t)}
	t.Cleanup(func() {
		if t.Failed() && page.ctx.Err() == nil {
			page.shot("server-failed")
			t.Logf("the page shows %q", page.texts("body"))
		}
	})
	page.do(chromedp.EmulateViewport(1280, 800))
	page.do(chromedp.Navigate(s.url))
	page.until("the page is connected", ".link.live", "")
	page.do(chromedp.SendKeys(chromedp.CSS("textarea"), "Q7\r"))
	page.until("the answer grows", ".md", "Q7:20")
	s.kill()
	procUntil(t, 30*time.Second, "the page has seen it", func() bool { return len(page.texts(".link.live")) == 0 })
	page.shot("server-killed")
	s.start()
	page.until("the answer has ended", ended, "")
	answers := page.texts(".turn .md")
	if len(answers) != 1 || strings.Join(strings.Fields(answers[0]), " ") != procText("Q7", words) {
		t.Errorf("the page shows %q", answers)
	}
	if questions := page.texts(".question"); !slices.Equal(questions, []string{"Q7"}) {
		t.Errorf("the questions are %q", questions)
	}
	page.shot("server-back")
	page.do(chromedp.Reload())
	page.until("the answer is there", ended, "")
	if again := page.texts(".turn .md"); !slices.Equal(again, answers) {
		t.Errorf("after a reload it shows %q", again)
	}
}
