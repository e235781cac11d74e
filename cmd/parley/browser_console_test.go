//go:build integration && unix

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// fill types into a field in place of what it has, as a person would see it.
func (p browserPage) fill(selector, text string) {
	p.t.Helper()
	p.until("there is "+selector, "body:has("+selector+")", "")
	p.do(chromedp.Focus(chromedp.CSS(selector)))
	_, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](fmt.Sprintf(
		"(e => { e.select(); return document.execCommand('insertText', false, %q) })(document.querySelector(%q))", text, selector)))
	if err != nil {
		p.t.Fatal(err)
	}
}

// press clicks the first button or link with a text.
func (p browserPage) press(text string) {
	p.t.Helper()
	procUntil(p.t, 30*time.Second, "there is a button "+text, func() bool {
		ok, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](fmt.Sprintf(
			"(e => { e?.click(); return !!e })([...document.querySelectorAll('button, a')].find(e => e.innerText.trim() === %q && !e.disabled))", text)))
		return err == nil && ok
	})
}

// A team registers a tool by form, by OpenAPI and by curl in the page, tries
// it, switches it off and deletes it; neither its secret nor the admin token is to be found in the
// page or its storage.
func TestConsoleAddsTriesAndDeletesTools(t *testing.T) {
	t.Parallel()
	const secret = "canary-console-secret"
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"order":%q,"authorised":%t}`, r.URL.Path, r.Header.Get("X-Api-Key") == secret)
	}))
	t.Cleanup(api.Close)
	at, err := url.Parse(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := procServe(t, "PARLEY_EGRESS_ALLOW="+at.Host)
	page := browserPage{t, browserOpen(t)}
	noSecret := func(when string) {
		t.Helper()
		for _, what := range []string{
			"document.documentElement.outerHTML", "JSON.stringify([localStorage, sessionStorage, document.cookie])",
			"[...document.querySelectorAll('input, textarea')].map(e => e.value).join()",
		} {
			text, err := chromedp.Run(page.ctx, chromedp.Evaluate[string](what))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(text, secret) || strings.Contains(text, procToken) {
				t.Errorf("%s: %s shows a secret", when, what)
			}
		}
	}
	page.do(chromedp.EmulateViewport(1280, 800))
	page.do(chromedp.Navigate(s.url + "/console/tools/+/form"))
	page.fill("#token", procToken)
	page.press("Sign in")
	page.fill("#d-name", "get_order")
	page.press("Add tool")
	page.until("what is missing is said at its field", ".c-field.wrong", "Description")
	page.fill("#d-description", "Looks up an order.")
	page.fill("#d-url", api.URL+"/orders/{order}")
	page.fill("#d-parameters", `{"type":"object","properties":{"order":{"type":"string"}},"required":["order"]}`)
	page.press("Add a header")
	page.fill("[aria-label='Header name']", "X-Api-Key")
	page.fill("[aria-label='Value of X-Api-Key']", secret)
	page.press("Add tool")
	page.fill(`[id^="t-"]`, "17")
	noSecret("after adding")
	page.press("Call")
	page.until("the answer is there", ".c-result", "/orders/17")
	page.until("the secret was sent", ".c-result", `"authorised": true`)
	page.shot("console-try")
	page.fill("#d-description", "Looks up one order.")
	page.press("Save")
	page.until("it is saved", ".toast", "Saved get_order")
	page.press("Call")
	page.until("the secret was kept", ".c-result", `"authorised": true`)
	noSecret("after a change")

	page.do(chromedp.Navigate(s.url + "/console/tools/+/openapi"))
	page.fill("#i-text", `{"openapi":"3.1.0","info":{"title":"Pets","version":"1"},"paths":{"/pets":{"get":{"operationId":"list_pets","responses":{}}},"/gone":{"get":{"operationId":"gone","responses":{}}}}}`)
	page.fill("#i-base", api.URL)
	page.press("Show operations")
	page.until("the operations are shown", ".c-ops", "list_pets")
	page.do(chromedp.Click(chromedp.CSS("[aria-label='GET /gone']")))
	page.shot("console-import")
	page.press("Import 1")
	page.press("See the tools")
	page.until("it is a tool", ".c-name", "list_pets")
	if slices.Contains(page.texts(".c-name"), "gone") {
		t.Error("what was not chosen was imported")
	}
	page.shot("console-tools")
	page.do(chromedp.Click(chromedp.CSS("[title='Dark']")))
	page.shot("console-dark")
	page.do(chromedp.EmulateViewport(390, 844))
	procUntil(t, 10*time.Second, "nothing moves", func() bool {
		still, err := chromedp.Run(page.ctx, chromedp.Evaluate[bool]("innerWidth === 390 && document.getAnimations().length === 0"))
		return err == nil && still
	})
	page.shot("console-phone")
	page.do(chromedp.EmulateViewport(1280, 800))
	page.press("list_pets")
	page.press("Disable")
	page.until("it is switched off", ".c-head .c-tag", "off")
	page.press("Delete…")
	page.press("Delete list_pets")
	page.until("the list is back", ".c-name", "get_order")
	if slices.Contains(page.texts(".c-name"), "list_pets") {
		t.Error("list_pets is still there")
	}

	page.press("Add tools")
	page.press("From curl")
	page.fill("#curl", "curl "+api.URL+"/orders/17 -H 'X-Api-Key: "+secret+"'")
	page.press("Make a draft")
	page.fill("#d-name", "drafted")
	page.fill("#d-description", "Looks up order 17.")
	page.shot("console-draft")
	page.press("Add tool")
	page.until("it is declared", ".c-head h2", "drafted")
	page.fill(`[id^="t-"]`, "17")
	page.press("Call")
	page.until("the draft works", ".c-result", `"authorised": true`)
	noSecret("after a draft")
	page.press("Sign out")
	page.until("the sign-in is back", ".c-signin", "Sign in")
}
