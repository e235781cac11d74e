//go:build integration && unix

package main

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"parley/llm/llmtest"
)

// A conversation becomes longer than its model can read: it goes on, and the
// page shows its title, where it was summarised, and what could be asked next.
func TestPageOfALongConversation(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	m := llmtest.NewServer(t, func(r llmtest.Request) llmtest.Reply {
		switch body := string(r.Body); {
		case strings.Contains(body, `"response_format"`):
			return llmtest.Reply{Pieces: []string{`{"flour":500,"yeast":7.0,`, `"steps":["*mix*","rest"]}`}, Hold: hold}
		case strings.Contains(body, "name conversations"):
			return llmtest.Text("Why bread rises")
		case strings.Contains(body, "could ask next"):
			return llmtest.Text("How long does dough have to rest before it is baked?\nDoes it rise without salt?\nAnd sourdough?")
		case strings.Contains(body, "keep the record"):
			return llmtest.Text("The person bakes bread at home and wants to know why it rises.\nYeast makes gas; gluten holds it. Decided: 500 g of flour, 7 g of dry yeast, one hour at 26 °C.")
		case len(body) > 60_000:
			return llmtest.Fail(400, "context_length_exceeded", "maximum context length exceeded")
		}
		return llmtest.Text("Yeast eats sugar and makes gas, which the dough holds. " + strings.Repeat("That takes time. ", 500))
	})
	s := procServe(t, "PARLEY_MODEL=scripted", "PARLEY_MODEL_URL="+m.URL, "PARLEY_MODEL_WINDOW=8000", "PARLEY_SUGGESTIONS=true")
	page := browserPage{t, browserOpen(t)}
	page.do(chromedp.EmulateViewport(390, 844))
	page.do(chromedp.Navigate(s.url))
	page.until("the page is connected", ".link.live", "")
	say := func(q string) {
		page.do(chromedp.SendKeys(chromedp.CSS("textarea"), q+"\r"))
		page.until(q+" is answered", ".turn:last-of-type .foot-row", "scripted")
	}
	say("why does bread rise?")
	page.until("suggestions", ".suggested", "And sourdough?")
	page.until("the title", "title", "Why bread rises")
	page.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.suggested').scrollIntoView({block: 'end'})`))
	page.shot("suggested")
	page.do(chromedp.Click(chromedp.CSS(".suggested li:nth-child(3) button")))
	page.until("the suggestion is asked", ".turn:last-of-type .question", "And sourdough?")
	page.until("it is answered", ".turn:last-of-type .foot-row", "scripted")
	for _, q := range []string{"how much flour?", "how warm?", "how long?"} {
		page.until("suggestions", ".suggested", "And sourdough?")
		say(q)
	}
	page.until("the mark", ".summarised", "Summarised up to here")
	page.do(chromedp.Evaluate[chromedp.Void](`(m => { m.open = true; m.scrollIntoView({block: 'center'}) })(document.querySelector('.summarised'))`))
	page.until("what was summarised", ".summarised .text", "one hour at 26 °C")
	page.shot("summarised")
	page.do(chromedp.Reload())
	page.until("the mark is there after a reload", ".summarised", "Summarised up to here")
	pageShowsJSON(page, hold)
	if failed := page.texts(".notice.bad"); len(failed) > 0 {
		t.Errorf("the page says %q", failed)
	}
}

// Another program asks for JSON in the conversation that the page shows: it
// comes as it is said, and then indented, with whether it is valid.
func pageShowsJSON(page browserPage, hold chan struct{}) {
	page.t.Helper()
	const code = ".turn:last-of-type .code.json"
	page.do(chromedp.Evaluate[chromedp.Void](`void fetch('/v1/conversations/' + location.pathname.split('/').pop() + '/messages', {method: 'POST', headers: {'Content-Type': 'application/json'},
		body: JSON.stringify({content: 'The recipe, please', response_format: {type: 'json_schema', json_schema: {name: 'recipe', schema: {type: 'object', required: ['flour']}}}})})`))
	page.until("the JSON is written", code+" code", `{"flour":500,"yeast":7.0,`)
	close(hold)
	page.until("it is valid", code+" .fits", "matches recipe")
	want := "{\n  \"flour\": 500,\n  \"yeast\": 7.0,\n  \"steps\": [\n    \"*mix*\",\n    \"rest\"\n  ]\n}"
	if got := page.texts(code + " code"); len(got) != 1 || got[0] != want {
		page.t.Errorf("shown is %q", got)
	}
	page.until("it is coloured", code+" .hljs-attr", "flour")
	page.shot("json")
}
