//go:build integration && unix

package main

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"parley/tools/toolstest"
)

// A feed is pinned from the page's menu; its chip shows what it says, the
// answer is about that, and when the feed is gone the chip says how old it is.
func TestPagePinsAFeed(t *testing.T) {
	t.Parallel()
	floor := &toolstest.Feed{Script: toolstest.Ticks(200*time.Millisecond, func(int) string { return `{"p":1234.5}` })}
	market := httptest.NewServer(floor)
	defer market.Close()
	defer floor.Refuse(true)
	s := procServe(t, "PARLEY_EGRESS_ALLOW="+market.Listener.Addr().String())
	for _, name := range []string{"gold", "silver"} {
		procFeed(t, s, "PUT", name, fmt.Sprintf(`{"description":"Price of %s in dollars an ounce","url":"ws%s","value":".p","staleSeconds":2}`, name, strings.TrimPrefix(market.URL, "http")))
	}
	page := browserPage{t, browserOpen(t)}
	page.do(chromedp.EmulateViewport(900, 700))
	page.do(chromedp.Navigate(s.url))
	page.until("the page is connected", ".link.live", "")
	page.do(chromedp.SendKeys(chromedp.CSS("textarea"), "Hello\r"))
	page.until("feeds can be pinned", ".pin-add", "Live feed")
	page.do(chromedp.Click(chromedp.CSS(".pin-add")))
	page.until("the menu lists them", ".pin-menu", "Price of gold")
	page.shot("feeds-menu")
	page.do(chromedp.Click(chromedp.CSS(".pin-menu button")))
	page.until("the chip shows the value", ".pin", "1234.5")
	page.do(chromedp.SendKeys(chromedp.CSS("textarea"), "What is the gold price?\r"))
	page.until("the answer is about it", ".md", "The pinned feed gold says 1234.5")
	page.shot("feeds-pinned")
	floor.Refuse(true)
	page.until("the chip says that it is old", ".pin.stale", "old")
	page.shot("feeds-stale")
	page.do(chromedp.Click(chromedp.CSS(".pin button")))
	page.until("it is unpinned", ".pin-add", "Live feed")
	if chips := page.texts(".pin"); len(chips) > 0 {
		t.Errorf("chips left: %q", chips)
	}
}
