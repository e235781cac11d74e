//go:build integration && unix

package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"parley/llm/llmtest"
)

// The first model dies in the middle of its answer: the page takes that half
// back, shows the second's whole answer, and says in small print who gave it.
func TestPageShowsThatAnotherModelAnswered(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	first := llmtest.NewServer(t, func(llmtest.Request) llmtest.Reply {
		return llmtest.Reply{Pieces: strings.SplitAfter("The bridge was built in 18", " "), Every: 50 * time.Millisecond, Hold: hold, Cut: true}
	})
	second := llmtest.NewServer(t, func(llmtest.Request) llmtest.Reply {
		return llmtest.Reply{Pieces: strings.SplitAfter("It was opened in 1883, after fourteen years.", " "), Every: 50 * time.Millisecond}
	})
	s := procServe(t, "PARLEY_TITLES=false", "PARLEY_MODEL=gpt-5", "PARLEY_MODEL_URL="+first.URL, "PARLEY_MODEL_FALLBACK=anthropic:claude-sonnet-4-5@"+second.URL)
	page := browserPage{t, browserOpen(t)}
	page.do(chromedp.EmulateViewport(1000, 640))
	page.do(chromedp.Navigate(s.url))
	page.until("the page is connected", ".link.live", "")
	page.do(chromedp.SendKeys(chromedp.CSS("textarea"), "When was the Brooklyn Bridge built?\r"))
	page.until("half an answer is shown", ".md", "The bridge was")
	page.shot("another-model-before")
	close(hold)
	page.until("the answer has ended", ".turn:last-of-type .foot-row", "claude-sonnet-4-5 · gpt-5 did not answer")
	want := []string{"It was opened in 1883, after fourteen years."}
	if got := page.texts(".turn .md"); !slices.Equal(got, want) {
		t.Errorf("the page shows %q", got)
	}
	if got := page.texts(".turn .takeover"); len(got) > 0 {
		t.Errorf("the page speaks of another replica: %q", got)
	}
	page.shot("another-model")
	page.do(chromedp.Reload())
	page.until("the answer is there", ".turn:last-of-type .foot-row", "gpt-5 did not answer")
	if got := page.texts(".turn .md"); !slices.Equal(got, want) {
		t.Errorf("after a reload the page shows %q", got)
	}
}
