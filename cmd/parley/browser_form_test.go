//go:build integration && unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

const procHotelForm = `{"type": "object", "required": ["name", "email", "room"], "properties": {
	"name": {"type": "string", "title": "Your name"},
	"email": {"type": "string", "format": "email", "title": "E-mail", "description": "Where the confirmation goes."},
	"from": {"type": "string", "format": "date", "title": "From"},
	"plate": {"type": "string", "pattern": "^[A-Z]{2}[0-9]{5}$", "title": "Number plate"},
	"room": {"type": "string", "title": "Room", "oneOf": [{"const": "s", "title": "Single"}, {"const": "d", "title": "Double"}]},
	"extras": {"type": "array", "title": "Extras", "items": {"anyOf": [{"const": "b", "title": "Breakfast"}, {"const": "p", "title": "Parking"}]}},
	"guests": {"type": "array", "title": "Other guests", "items": {"type": "string"}},
	"invoice": {"type": "object", "title": "Invoice", "required": ["to"], "properties": {"to": {"type": "string", "title": "To"}, "lines": {"type": "array", "title": "Lines", "items": {"type": "object"}}}},
	"late": {"type": "boolean", "title": "I come late"}}}`

// procHotel is an MCP server that asks a person for what a booking needs, and
// says what it was told.
func procHotel(t *testing.T) *httptest.Server {
	hotel := sdk.NewServer(&sdk.Implementation{Name: "hotel", Version: "1"}, nil)
	hotel.AddTool(&sdk.Tool{Name: "book", Description: "Books a room.", InputSchema: json.RawMessage(`{"type":"object"}`)}, func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		answer, ok := r.Params.InputResponses["who"].(*sdk.ElicitResult)
		if !ok {
			ask := &sdk.ElicitParams{Mode: "form", Message: "Who comes, and when?", RequestedSchema: json.RawMessage(procHotelForm)}
			return &sdk.CallToolResult{InputRequests: sdk.InputRequestMap{"who": ask}}, nil
		}
		b, err := json.Marshal(answer.Content) // its members are sorted
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "`" + answer.Action + " " + string(b) + "`"}}}, err
	})
	s := httptest.NewServer(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return hotel }, &sdk.StreamableHTTPOptions{Stateless: true}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

// A tool asks for something to be filled in: what is wrong is said at its
// field, by the page or by the server, and the tool gets what was meant.
func TestPageFillsInWhatAToolAsksFor(t *testing.T) {
	t.Parallel()
	hotel := procHotel(t)
	at, err := url.Parse(hotel.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := procServe(t, append(procModelEnv(procPuppet(t)), "PARLEY_EGRESS_ALLOW="+at.Host)...)
	var st json.RawMessage
	if status, err := procAdmin().do(t.Context(), "PUT", s.url+"/v1/mcp/hotel", map[string]any{"url": hotel.URL, "approval": "auto"}, &st); err != nil || status != http.StatusOK {
		t.Fatalf("PUT: %d, %v, %s", status, err, st)
	}
	page := browserPage{t, browserOpen(t)}
	t.Cleanup(func() {
		if t.Failed() && page.ctx.Err() == nil {
			page.shot("form-failed")
			t.Logf("the page shows %q", page.texts("body"))
		}
	})
	field := func(label string) string { // a selector of what a label is of
		t.Helper()
		id, err := chromedp.Run(page.ctx, chromedp.Evaluate[string](fmt.Sprintf(
			"[...document.querySelectorAll('.ask label')].find(l => l.firstChild.textContent.trim().startsWith(%q)).htmlFor", label)))
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(".ask [id='%s']", id)
	}
	tick := func(label string) {
		t.Helper()
		page.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf("[...document.querySelectorAll('.ask .check')].find(l => l.innerText.includes(%q)).click()", label)))
	}
	wrong := func(f string) string {
		return ".ask-field:has(> " + strings.TrimPrefix(f, ".ask ") + ") > .ask-problem"
	}

	page.do(chromedp.EmulateViewport(1280, 1300))
	page.do(chromedp.Navigate(s.url))
	page.until("the page is connected", ".link.live", "")
	page.do(chromedp.SendKeys(chromedp.CSS("textarea"), "use hotel_book {}\r"))
	page.until("it asks", ".ask-title", "Who comes, and when?")
	page.shot("form-wide")
	page.fill(field("Your name"), "Ann")
	page.fill(field("E-mail"), "ann@example.org")
	page.do(chromedp.SetValue(chromedp.CSS(field("From")), "2026-12-01"))
	page.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.querySelector(%q).dispatchEvent(new Event('input', {bubbles: true}))", field("From"))))
	page.fill(field("Number plate"), "mine")
	page.choose(field("Room"), "1")
	page.fill(field("Other guests"), "Bo\n\nCy\n")
	tick("Parking")
	tick("I come late")
	page.fill(field("Lines"), `[{"sum": 5}`)
	page.press("Send")
	page.until("the page says what is no JSON", wrong(field("Lines")), "no JSON yet")
	page.until("and what is missing", wrong(field("To")), "This is needed.")
	page.fill(field("Lines"), `[{"sum": 5}]`)
	page.fill(field("To"), "ACME")
	page.press("Send")
	page.until("the server says what does not fit", wrong(field("Number plate")), "does not match pattern")
	page.shot("form-wrong-wide")
	page.do(chromedp.EmulateViewport(390, 1500))
	page.do(chromedp.Evaluate[chromedp.Void](`document.getAnimations().forEach(a => a.finish())`)) // the drawer is away
	page.shot("form-wrong-narrow")
	page.do(chromedp.Evaluate[chromedp.Void](`document.documentElement.dataset.theme = 'dark'`))
	page.shot("form-wrong-narrow-dark")
	page.fill(field("Number plate"), "AB12345")
	if got := page.texts(".ask-problem"); len(got) > 0 {
		t.Errorf("what was mended is still wrong: %q", got)
	}
	page.press("Send")
	page.until("the tool got what was meant", ".turn:last-of-type .md", `accept {"email":"ann@example.org","extras":["p"],"from":"2026-12-01","guests":["Bo","Cy"],`+
		`"invoice":{"lines":[{"sum":5}],"to":"ACME"},"late":true,"name":"Ann","plate":"AB12345","room":"d"}`)
}
