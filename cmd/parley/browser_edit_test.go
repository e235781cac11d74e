//go:build integration && unix

package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// A question is edited in the page, and its server killed while it answers
// that: the page ends with the edited question and its answer, and nothing of
// what was behind the old one.
func TestPageEditsAQuestion(t *testing.T) {
	t.Parallel()
	const words, editor, ended = 60, ".editor textarea", ".turn:last-of-type .foot-row"
	s := procServe(t, procModelEnv(procModel(t, words, 15*time.Millisecond))...)
	page := browserPage{t, browserOpen(t)}
	page.do(chromedp.EmulateViewport(390, 844))
	page.do(chromedp.Navigate(s.url))
	page.until("the page is connected", ".link.live", "")
	for i, q := range []string{"Q7", "Q8"} {
		page.do(chromedp.SendKeys(chromedp.CSS("textarea"), q+"\r"))
		procUntil(t, 30*time.Second, q+" is answered", func() bool { return len(page.texts(".foot-row")) == i+1 })
	}
	page.do(chromedp.Focus(chromedp.CSS(".edit")))
	page.do(chromedp.SendKeys(chromedp.CSS(".edit"), "\r"))
	page.until("the editor says what it does", ".editor", "Everything below is replaced.")
	page.do(chromedp.SendKeys(chromedp.CSS(editor), "9"))
	page.shot("edit")
	page.do(chromedp.SendKeys(chromedp.CSS(editor), "\r"))
	page.until("the new answer grows", ".md", "Q79:10")
	s.kill()
	s.start()
	page.until("the new answer has ended", ended, "")
	check := func(when string) {
		t.Helper()
		if questions := page.texts(".question"); !slices.Equal(questions, []string{"Q79"}) {
			t.Errorf("%s the questions are %q", when, questions)
		}
		answers := page.texts(".turn .md")
		if len(answers) != 1 || strings.Join(strings.Fields(answers[0]), " ") != procText("Q79", words) {
			t.Errorf("%s the page shows %q", when, answers)
		}
	}
	check("at the end")
	page.do(chromedp.Reload())
	page.until("the answer is there", ended, "")
	check("after a reload")
	page.shot("edit-done")
}
