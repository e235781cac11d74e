//go:build integration && unix

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// What is always allowed in a conversation stands in its menu, and is asked
// about again once that was taken back there.
func TestPageTakesBackWhatIsAlwaysAllowed(t *testing.T) {
	t.Parallel()
	till := newProcTill(t)
	s := procServe(t, append(procModelEnv(procPuppet(t)), till.env())...)
	procPut(t, s, "charge", till.tool())
	page := browserPage{t, browserOpen(t)}
	page.do(chromedp.EmulateViewport(390, 844))
	page.do(chromedp.Navigate(s.url))
	page.until("the page is connected", ".link.live", "")
	page.do(chromedp.SendKeys(chromedp.CSS("textarea"), `use charge {"sum":1}`+"\r"))
	page.until("it asks", ".ask-title", "Allow charge")
	page.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.always input').click()`))
	page.press("Approve")
	page.until("the answer has ended", ".turn:last-of-type .foot-row", "")
	page.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.header [aria-label=Conversations]').click()`))
	page.do(chromedp.Evaluate[chromedp.Void](`window.real = fetch; window.fetch = () => Promise.reject(new TypeError('no network')); document.querySelector('.list .icon').click()`))
	page.until("the menu says that it does not know", "#row-menu .allowed", "could not be read")
	page.shot("allowed-unread")
	page.do(chromedp.Evaluate[chromedp.Void](`window.fetch = real; document.querySelector('#row-menu').hidePopover(); document.querySelector('.list .icon').click()`))
	page.until("the menu lists it", "#row-menu .allowed", "charge")
	page.shot("allowed-narrow")
	page.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.allowed button').click()`))
	procUntil(t, 10*time.Second, "it is not listed any more", func() bool { return len(page.texts(".allowed")) == 0 })
	page.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#row-menu').hidePopover(); document.querySelector('.brand .icon').click()`))
	page.do(chromedp.SendKeys(chromedp.CSS("textarea"), `use charge {"sum":2}`+"\r"))
	page.until("it asks again", ".ask-title", "Allow charge")
}

// A payment is to be allowed, in two tabs: edited in one, decided there, and
// both show what became of it. A conversation that waits is marked.
func TestPageAsks(t *testing.T) {
	t.Parallel()
	till := newProcTill(t)
	s := procServe(t, append(procModelEnv(procPuppet(t)), till.env())...)
	procPut(t, s, "charge", till.tool())
	first := browserOpen(t)
	page := browserPage{t, first}
	t.Cleanup(func() {
		if t.Failed() && page.ctx.Err() == nil {
			page.shot("ask-failed")
			t.Logf("the page shows %q", page.texts("body"))
		}
	})
	page.do(chromedp.EmulateViewport(1280, 800))
	page.do(chromedp.Navigate(s.url))
	page.until("the page is connected", ".link.live", "")
	page.do(chromedp.SendKeys(chromedp.CSS("textarea"), `use charge {"sum":500,"for":"A bicycle with a basket"}`+"\r"))
	page.until("it asks", ".ask-title", "Allow charge (POST 127.0.0.1")
	page.until("it shows the arguments", ".ask pre", `"sum": 500`)
	page.until("it says how long there is time", ".ask .left", "24")
	page.until("the conversation is marked", ".list .waits", "")
	page.shot("ask-wide")

	ctx, stop := chromedp.NewContext(first) // of the same person
	t.Cleanup(stop)
	other := browserPage{t, ctx}
	other.do(chromedp.EmulateViewport(390, 844))
	other.do(chromedp.Navigate(s.url))
	other.until("the other tab is connected", ".link.live", "")
	other.until("it lists the conversation", ".list .waits", "")
	other.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.list a').click()`))
	other.until("the other tab asks", ".ask-title", "Allow charge")
	other.do(chromedp.Evaluate[chromedp.Void](`document.documentElement.dataset.theme = 'dark'`))
	other.shot("ask-narrow")

	page.do(chromedp.Evaluate[chromedp.Void](`[...document.querySelectorAll('.ask button')].find(b => b.innerText.includes('Edit')).click()`))
	page.until("it can be edited", ".ask form", "Approve with these")
	page.do(chromedp.SendKeys(chromedp.CSS(".ask textarea"), " x"))
	page.until("what is wrong is said", ".ask-problem", "no JSON yet")
	page.shot("ask-edit")
	page.do(chromedp.Evaluate[chromedp.Void](`{ const b = document.querySelector('.ask textarea'); b.value = '{"sum": "much"}'; b.dispatchEvent(new Event('input', {bubbles: true})) }`))
	page.until("it can be sent", ".ask button[type=submit]:not(:disabled)", "")
	page.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.ask form').requestSubmit()`))
	page.until("the server says what does not fit", ".ask-problem", "got string, want number")
	page.do(chromedp.Evaluate[chromedp.Void](`{ const b = document.querySelector('.ask textarea'); b.value = '{"sum": 3}'; b.dispatchEvent(new Event('input', {bubbles: true})) }`))
	page.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.ask form').requestSubmit()`))
	for _, p := range []browserPage{page, other} {
		p.until("the answer has ended", ".turn:last-of-type .foot-row", "")
		p.until("the call was made", ".tool.ok", "charge")
		if len(p.texts(".ask")) > 0 || len(p.texts(".list .waits")) > 0 {
			t.Error("it still asks")
		}
	}
	page.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.tool-head').click()`))
	page.until("what was decided is shown", ".decision", "Approved with other arguments")
	page.shot("ask-done")

	other.do(chromedp.SendKeys(chromedp.CSS("textarea"), `use charge {"sum":8}`+"\r"))
	other.until("it asks again", ".ask-title", "Allow charge")
	other.do(chromedp.Evaluate[chromedp.Void](`[...document.querySelectorAll('.ask button')].find(b => b.innerText.includes('Refuse')).click()`))
	other.do(chromedp.SendKeys(chromedp.CSS(".ask input"), "too dear\r"))
	other.until("it was refused", ".tool.none .took", "refused")
	other.until("the answer has ended", ".turn:last-of-type .foot-row", "")
	other.do(chromedp.Evaluate[chromedp.Void](`document.documentElement.dataset.theme = 'dark'; [...document.querySelectorAll('.tool-head')].at(-1).click()`))
	other.until("it is said why", ".decision", "Refused: too dear")
	other.shot("ask-refused")
	till.mu.Lock()
	defer till.mu.Unlock()
	if len(till.asked) != 1 {
		t.Errorf("paid was %v", till.asked)
	}
	for _, body := range till.asked {
		if strings.ReplaceAll(body, " ", "") != `{"sum":3}` {
			t.Errorf("paid was %s", body)
		}
	}
}
