package provider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/llm"
	"parley/llm/provider"
	"parley/tools"
)

// demoSpecs are tools of the sorts that people register.
func demoSpecs() []tools.Spec {
	spec := func(name, description, properties string, required ...string) tools.Spec {
		req, _ := json.Marshal(append([]string{}, required...))
		return tools.Spec{
			Name: name, Description: description, Effect: tools.Safe,
			Parameters: json.RawMessage(fmt.Sprintf(`{"type":"object","properties":%s,"required":%s,"additionalProperties":false}`, properties, req)),
		}
	}
	return []tools.Spec{
		spec("weather", "Weather forecast for a place: temperature, rain and wind. Data by Open-Meteo.", `{
			"place":{"type":"string","description":"City or place, e.g. Lisbon or Portland, Oregon"},
			"day":{"type":"string","description":"today, tomorrow, a weekday or a date as YYYY-MM-DD","default":"today"}}`, "place"),
		spec("search_documents", "Search the uploaded documents for passages that answer a question.", `{
			"query":{"type":"string","description":"What to look for"},
			"limit":{"type":"integer","minimum":1,"maximum":20,"default":5}}`, "query"),
		spec("convert_currency", "Convert an amount of money from one currency to another at the current exchange rate.", `{
			"amount":{"type":"number","description":"How much money"},
			"from":{"type":"string","description":"ISO 4217 currency code","pattern":"^[A-Z]{3}$"},
			"to":{"type":"string","description":"ISO 4217 currency code","pattern":"^[A-Z]{3}$"}}`, "amount", "from", "to"),
		spec("calculate", "Evaluate an arithmetic expression.", `{"expression":{"type":"string","description":"e.g. (2 + 3) * 4"}}`, "expression"),
		spec("get_order", "Look up the status of a customer's order.", `{"order_id":{"type":"string","description":"The order's number"}}`, "order_id"),
		spec("refund_order", "Refund an order, all of it or a part.", `{
			"order_id":{"type":"string"},"amount":{"type":"number","description":"In euros; all if absent"},
			"reason":{"type":"string","enum":["damaged","late","wrong_item","other"]}}`, "order_id"),
		spec("create_event", "Create a calendar event such as a meeting.", `{
			"title":{"type":"string"},"date":{"type":"string","format":"date"},
			"time":{"type":"string","description":"Start time as HH:MM"},
			"attendees":{"type":"array","items":{"type":"string"},"description":"Names of people to invite"}}`, "title", "date"),
		spec("list_events", "List the calendar's events of a day.", `{"date":{"type":"string","format":"date"}}`, "date"),
		spec("translate", "Translate a text into another language.", `{
			"text":{"type":"string"},"target_language":{"type":"string","enum":["en","de","fr","es","it","pt"]},
			"formal":{"type":"boolean"}}`, "text", "target_language"),
		spec("send_email", "Send an email message to somebody.", `{
			"to":{"type":"string","format":"email"},"subject":{"type":"string"},"body":{"type":"string"}}`, "to", "body"),
		spec("stock_price", "Get the latest share price of a company's stock.", `{
			"symbol":{"type":"string","description":"Ticker symbol","pattern":"^[A-Z]{1,5}$"}}`, "symbol"),
		spec("find_route", "Directions and distance of a route between two places.", `{
			"origin":{"type":"string"},"destination":{"type":"string"},
			"mode":{"type":"string","enum":["driving","walking","cycling","transit"]}}`, "origin", "destination"),
		spec("search_flights", "Search for flights between two cities.", `{
			"from_city":{"type":"string"},"to_city":{"type":"string"},"departure_date":{"type":"string","format":"date"},
			"passengers":{"type":"integer","default":1}}`, "from_city", "to_city", "departure_date"),
		spec("world_time", "The current local time in a city.", `{"city":{"type":"string"}}`, "city"),
		spec("convert_units", "Convert a length, weight or temperature between units.", `{
			"value":{"type":"number"},
			"from_unit":{"type":"string","enum":["meters","feet","miles","kilometers","kilograms","pounds","celsius","fahrenheit"]},
			"to_unit":{"type":"string","enum":["meters","feet","miles","kilometers","kilograms","pounds","celsius","fahrenheit"]}}`,
			"value", "from_unit", "to_unit"),
	}
}

// demoNow is a Sunday.
func demoNow() time.Time { return time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC) }

func demoModel() llm.Model {
	return provider.Demo(provider.DemoOptions{Pace: -1, Now: demoNow})
}

// demoSaid is one whole turn.
type demoSaid struct {
	text, reasoning string
	calls           []llm.ToolCall
	finish          llm.Finish
	usage           llm.Usage
}

func demoRun(t testing.TB, m llm.Model, req llm.Request) demoSaid {
	t.Helper()
	var s demoSaid
	for c, err := range m.Stream(context.Background(), req) {
		if err != nil {
			t.Fatal(err)
		}
		if s.finish != "" {
			t.Fatalf("a chunk after the end: %+v", c)
		}
		s.text += c.Text
		s.reasoning += c.Reasoning
		if c.Call != nil {
			s.calls = append(s.calls, *c.Call)
		}
		if c.Usage != nil {
			s.usage = *c.Usage
		}
		s.finish = c.Finish
	}
	return s
}

func demoUser(text string) llm.Message {
	return llm.Message{ID: "u:" + text, Role: llm.User, Content: text}
}

// demoAskIt asks one question with all tools.
func demoAskIt(t testing.TB, text string) demoSaid {
	t.Helper()
	return demoRun(t, demoModel(), llm.Request{Messages: []llm.Message{demoUser(text)}, Tools: demoSpecs()})
}

// demoCalls writes calls as "name {args}", one a line, the arguments by name.
func demoCalls(calls []llm.ToolCall) string {
	var out []string
	for _, c := range calls {
		var args map[string]any
		_ = json.Unmarshal(c.Raw(), &args)
		sorted, _ := json.Marshal(args)
		out = append(out, c.Function.Name+" "+string(sorted))
	}
	return strings.Join(out, "\n")
}
