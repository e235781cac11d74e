//go:build integration && unix

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// While Redis is away the page says so, and afterwards has the whole answer.
func TestPageSaysThatRedisIsAway(t *testing.T) {
	t.Parallel()
	const words = 150
	redis := procStartRedis(t)
	s := procServe(t, append(procModelEnv(procModel(t, words, 30*time.Millisecond)), "PARLEY_REDIS="+redis.url())...)
	page := browserPage{t, browserOpen(t)}
	page.do(chromedp.EmulateViewport(390, 844))
	page.do(chromedp.Navigate(s.url))
	page.until("the page is connected", ".link.live", "")
	page.do(chromedp.SendKeys(chromedp.CSS("textarea"), "Q7\r"))
	page.until("the answer grows", ".md", "Q7:10")
	redis.kill()
	page.until("the page says so", ".link", "reconnecting")
	page.shot("redis-away")
	redis.start()
	page.until("the page hears again", ".link.live", "")
	page.until("the answer has ended", ".turn:last-of-type .foot-row", "")
	if answers := page.texts(".turn .md"); len(answers) != 1 || strings.Join(strings.Fields(answers[0]), " ") != procText("Q7", words) {
		t.Errorf("the page shows %q", answers)
	}
}
