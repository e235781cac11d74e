//go:build integration && unix

package main

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// An agent is made in the console, changed, and put back; it is chosen for a
// conversation, and the answer says that it gave it.
func TestAnAgentIsMadeInTheConsoleAndChosen(t *testing.T) {
	t.Parallel()
	s := procServe(t)
	page := browserPage{t, browserOpen(t)}
	page.do(chromedp.EmulateViewport(1280, 900))
	page.do(chromedp.Navigate(s.url + "/console/agents"))
	page.fill("#token", procToken)
	page.press("Sign in")
	page.press("Add an agent")
	page.fill("#a-name", "shop")
	page.fill("#a-title", "Shop assistant")
	page.fill("#a-instructions", "Be short.")
	page.fill("#a-questions", "Where is order 77?")
	page.choose("#a-tools", "none")
	page.press("Save")
	page.until("it is stored", ".c-versions", "Version 1")
	page.fill("#a-instructions", "Be long.")
	page.press("Save")
	page.until("what has changed is shown", ".c-diff .added", "Be long.")
	page.until("and what is gone", ".c-diff .gone", "Be short.")
	page.shot("console-agent")
	page.press("Use this again")
	page.until("the old one is the newest", ".c-versions", "Version 3")
	if got := page.value("#a-instructions"); got != "Be short." {
		t.Errorf("the form shows %q", got)
	}
	page.do(chromedp.Navigate(s.url + "/"))
	page.until("there is a choice", ".agent-now", "Parley")
	page.do(chromedp.Click(chromedp.CSS(".agent-now")))
	page.do(chromedp.Click(chromedp.CSS("#agent-menu button:last-child")))
	page.until("its questions are there", ".examples", "Where is order 77?")
	page.shot("agent-chosen")
	page.do(chromedp.Click(chromedp.CSS(".examples button")))
	page.until("the answer says whose it is", ".facts", "Shop assistant")
	page.until("so does the conversation", ".header .model", "Shop assistant")
}
