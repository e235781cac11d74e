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

	"parley/tools/toolstest"
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

// listen keeps what the page is answered from now on, until it is loaded anew;
// not the draft of a command, which holds what was just sent.
func (p browserPage) listen() {
	p.t.Helper()
	_, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](`(() => {
		const real = window.fetch
		window.heard = []
		window.fetch = async (...a) => {
			const r = await real(...a)
			if (!String(a[0]).endsWith('/draft')) heard.push(await r.clone().text())
			return r
		}
		return true
	})()`))
	if err != nil {
		p.t.Fatal(err)
	}
}

// showsNo fails if a secret is to be found in the page, its fields and storage,
// or in what the server has answered it.
func (p browserPage) showsNo(when string, secrets ...string) {
	p.t.Helper()
	for _, what := range []string{
		"document.documentElement.outerHTML", "JSON.stringify([localStorage, sessionStorage, document.cookie])",
		"[...document.querySelectorAll('input, textarea')].map(e => e.value).join()", "JSON.stringify(window.heard)",
	} {
		text, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](what))
		if err != nil {
			p.t.Fatal(err)
		}
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				p.t.Errorf("%s: %s shows a secret", when, what)
			}
		}
	}
}

func (p browserPage) value(selector string) string {
	p.t.Helper()
	text, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](fmt.Sprintf("document.querySelector(%q)?.value ?? ''", selector)))
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

// choose picks an option of a select by its value.
func (p browserPage) choose(selector, value string) {
	p.t.Helper()
	p.until("there is "+selector, "body:has("+selector+")", "")
	_, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](fmt.Sprintf(
		"(e => { e.value = %q; return e.dispatchEvent(new Event('change', {bubbles: true})) })(document.querySelector(%q))", value, selector)))
	if err != nil {
		p.t.Fatal(err)
	}
}

// A team registers a tool by form, by OpenAPI and by curl in the page, tries
// it, switches it off and deletes it; neither its secret nor the admin token is to be found in the
// page or its storage.
func TestConsoleAddsTriesAndDeletesTools(t *testing.T) {
	t.Parallel()
	const secret = "canary-console-secret"
	left := make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/slow.json" { // half of a document, for as long as somebody waits
			w.Header().Set("Content-Length", "8000000")
			_, _ = w.Write(make([]byte, 4_000_000))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			close(left)
			return
		}
		w.Header().Set("Set-Cookie", "sid="+secret)
		w.Header().Set("X-Ratelimit-Remaining", "41")
		fmt.Fprintf(w, `{"order":%q,"authorised":%t}`, r.URL.Path, r.Header.Get("X-Api-Key") == secret)
	}))
	t.Cleanup(api.Close)
	at, err := url.Parse(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := procServe(t, "PARLEY_EGRESS_ALLOW="+at.Host)
	page := browserPage{t, browserOpen(t)}
	noSecret := func(when string) { t.Helper(); page.showsNo(when, secret, procToken) }
	page.do(chromedp.EmulateViewport(1280, 800))
	page.do(chromedp.Navigate(s.url + "/console/tools/+/form"))
	page.listen()
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
	page.do(chromedp.Click(chromedp.CSS(".c-answers summary")))
	page.until("headers are shown", ".c-answered", "X-Ratelimit-Remaining")
	page.until("credentials are not", ".c-answered", "•••")
	noSecret("with the headers")
	page.shot("console-try")
	page.fill("#d-description", "Looks up one order.")
	page.press("Save")
	page.until("it is saved", ".toast", "Saved get_order")
	page.press("Call")
	page.until("the secret was kept", ".c-result", `"authorised": true`)
	noSecret("after a change")

	page.do(chromedp.Navigate(s.url + "/console/tools/+/openapi"))
	page.listen()
	page.fill("#i-url", api.URL+"/slow.json")
	page.press("Show operations")
	page.until("it shows how far it is", ".c-progress", "Fetching 4")
	page.shot("console-importing")
	page.press("Cancel")
	page.until("it is cancelled", "form:not(:has(.c-progress))", "Show operations")
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("what was cancelled goes on")
	}
	page.fill("#i-url", "")
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
	page.choose("[aria-label='Approval of list_pets']", "never")
	page.until("its use is counted", "tr:has([aria-label='Approval of get_order']) .num", "2")
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
	page.until("its approval is set", "#d-approval:has([value=never]:checked)", "")
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
	page.press("Edit as JSON")
	if text := page.value("#d-json"); strings.Contains(text, secret) || !strings.Contains(text, "•••") {
		t.Errorf("as JSON a draft is shown as %s", text)
	}
	page.press("Add tool")
	page.until("it is declared", ".c-head h2", "drafted")
	page.fill(`[id^="t-"]`, "17")
	page.press("Call")
	page.until("the draft works", ".c-result", `"authorised": true`)
	noSecret("after a draft")
	page.press("Sign out")
	page.until("the sign-in is back", ".c-signin", "Sign in")
}

// A tool needs the person's own account at a service: the credential is kept
// by form, a try says that it is to be connected, the account is, the try goes
// through, and it is disconnected. An MCP server that is away says so.
func TestConsoleKeepsCredentialsAndConnects(t *testing.T) {
	t.Parallel()
	const secret = "canary-console-client"
	shop := &toolstest.OAuth2{ClientID: "parley", ClientSecret: secret, Prefix: secret}
	service := httptest.NewServer(shop)
	t.Cleanup(service.Close)
	at, err := url.Parse(service.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := procServe(t, "PARLEY_EGRESS_ALLOW="+at.Host)
	shop.RedirectURI = s.url + "/v1/connect/callback"
	first := browserOpen(t)
	page := browserPage{t, first}
	noSecret := func(when string) { t.Helper(); page.showsNo(when, secret, procToken) }
	page.do(chromedp.EmulateViewport(1280, 900))
	page.do(chromedp.Navigate(s.url + "/console/credentials"))
	page.listen()
	page.fill("#token", procToken)
	page.press("Sign in")
	page.press("Add a credential")
	page.fill("#c-name", "shop")
	page.fill("#c-description", "your shop")
	page.fill("#c-origins", service.URL+"/path")
	page.choose("#c-kind", "oauth2")
	page.choose("#c-grant", "authorization_code")
	page.fill("#c-authorizeUrl", service.URL+"/authorize")
	page.fill("#c-tokenUrl", service.URL+"/token")
	page.fill("#c-clientId", "parley")
	page.fill("#c-clientSecret", secret)
	page.press("Save")
	page.until("what is wrong is said at its field", ".c-field.wrong", "without a path")
	page.shot("console-credential")
	page.fill("#c-origins", service.URL)
	page.press("Save")
	page.until("it is kept", ".c-name", "shop")
	noSecret("after keeping it")
	page.press("shop")
	page.fill("#c-scopes", "orders")
	page.press("Save")
	page.until("it can be changed without its secret", ".c-name", "shop")
	page.shot("console-credentials")

	page.do(chromedp.Navigate(s.url + "/console/tools/+/form"))
	page.listen()
	page.fill("#d-name", "my_orders")
	page.fill("#d-description", "Lists a person's orders.")
	page.fill("#d-url", service.URL+"/api")
	page.until("the credential can be chosen", "#d-auth", "shop")
	page.choose("#d-auth", "shop")
	page.do(chromedp.Click(chromedp.CSS(".c-more summary")))
	page.fill("#d-maxTokens", "500")
	page.choose("#d-cache", "off")
	page.press("Add tool")
	page.press("Call")
	page.until("it waits for the person", ".c-result", "Waits for a person")
	page.shot("console-ask")
	to, err := chromedp.Run(page.ctx, chromedp.Evaluate[string]("document.querySelector('.c-ask a').href"))
	if err != nil {
		t.Fatal(err)
	}
	page.press("Connected accounts")
	page.until("it is offered", ".c-table", "not yet")
	ctx, stop := chromedp.NewContext(first) // of the same person
	t.Cleanup(stop)
	other := browserPage{t, ctx}
	other.do(chromedp.Navigate(to))
	other.until("the way back ends well", "body", "shop")
	page.until("this tab hears of it", ".c-table", "Disconnect…")
	page.shot("console-connected")
	noSecret("after connecting")
	page.press("Tools")
	page.press("my_orders")
	page.press("Call")
	page.until("the account is used", ".c-result", "Succeeded")
	noSecret("after a call")
	page.press("Connected accounts")
	page.press("Disconnect…")
	page.press("Disconnect shop")
	page.until("it is disconnected", ".c-table", "not yet")

	page.press("MCP servers")
	page.press("Add a server")
	page.fill("#m-name", "away")
	page.fill("#m-url", service.URL+"/mcp")
	page.press("Add a header")
	page.fill("[aria-label='Header name']", "X-Api-Key")
	page.fill("[aria-label='Value of X-Api-Key']", secret)
	page.press("Save")
	page.until("it says that it is away", ".c-table", "away")
	page.shot("console-servers")
	noSecret("after an MCP server")
	page.press("Disable")
	page.until("it is switched off", ".c-table tr.off", "off")
	page.press("Delete…")
	page.press("Delete away")
	page.until("it is gone", ".c-none", "no MCP servers")
	if wrong := shop.Wrong(); len(wrong) > 0 {
		t.Errorf("the service found wrong: %v", wrong)
	}
}
