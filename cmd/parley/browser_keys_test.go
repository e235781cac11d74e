//go:build integration && unix

package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// The administrator makes a key in the page, with the token once more; another
// system uses it until it is taken back there.
func TestConsoleMakesAndTakesBackKeys(t *testing.T) {
	t.Parallel()
	s := procServe(t)
	page := browserPage{t, browserOpen(t)}
	page.do(chromedp.EmulateViewport(390, 844))
	page.do(chromedp.Navigate(s.url + "/console/keys"))
	page.fill("#token", procToken)
	page.press("Sign in")
	page.fill("#k-token", "pa_another")
	page.press("Show the keys")
	page.until("a wrong token is said, and ends no session", ".c-field.wrong", "not the administrator’s token")
	page.fill("#k-token", procToken)
	page.press("Show the keys")
	page.press("Make a key")
	page.fill("#k-name", "shop")
	page.fill("#k-tenant", "Acme!")
	page.press("Make the key")
	page.until("what is wrong is said at its field", ".c-field.wrong", "lower-case")
	page.shot("console-key-narrow")
	page.fill("#k-tenant", "acme")
	page.press("Make the key")
	page.until("it is shown once", "body", "shown this once")
	token := page.value(".c-form input[readonly]")
	page.shot("console-key-made-narrow")

	works := func() bool {
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/v1/conversations", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Parley-Person", "ann")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	if !strings.HasPrefix(token, "parley_") || !works() {
		t.Fatalf("the key %.6s… does not work", token)
	}
	page.do(chromedp.EmulateViewport(1280, 900))
	page.press("I have kept it")
	page.until("it is listed", ".c-table", "acme")
	page.shot("console-keys")
	page.press("Take back…")
	page.press("Take back shop")
	page.until("none is left", ".c-none", "no API keys yet")
	procUntil(t, 10*time.Second, "it is void", func() bool { return !works() })
}
