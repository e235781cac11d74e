//go:build integration && unix

package main

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"parley/llm/llmtest"
)

// While all of a server's places are taken, the page shows how many are ahead
// of a question, and then its answer.
func TestPageShowsThePlaceInTheQueue(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{}) // one for each answer
	defer close(goOn)
	model := llmtest.NewServer(t, func(r llmtest.Request) llmtest.Reply {
		<-goOn
		return llmtest.Text("The answer to " + r.Last().Content)
	})
	s := procServe(t, append(procModelEnv(model), "PARLEY_ANSWERS=1")...)
	page := browserPage{t, browserOpen(t)}
	page.do(chromedp.EmulateViewport(390, 844))
	page.do(chromedp.Navigate(s.url))
	page.until("the page is connected", ".link.live", "")
	for i := range 2 { // two others ask first
		if _, code, err := procGuest(t, s.url).say(t.Context(), s.url, "new", fmt.Sprint("k", i), fmt.Sprint("Q", i), ""); err != nil || code != 202 {
			t.Fatal(code, err)
		}
	}
	page.do(chromedp.SendKeys(chromedp.CSS("textarea"), "Q7\r"))
	page.until("one is ahead", ".place", "waiting · 1 ahead of you")
	page.shot("place-one")
	goOn <- struct{}{}
	page.do(chromedp.Reload())
	page.until("it is next", ".place", "waiting · you are next")
	page.until("its question is there", ".question", "Q7")
	page.shot("place-next")
	goOn <- struct{}{}
	goOn <- struct{}{}
	page.until("it is answered", ".md", "The answer to Q7")
	if places := page.texts(".place"); len(places) > 0 {
		t.Errorf("beside the answer stands %q", places)
	}
}
