package provider_test

import (
	"strings"
	"testing"
)

// demoTable lists questions and the calls that they must make; "-" is none.
var demoTable = []struct{ question, calls string }{
	// One tool.
	{"What is the weather in Lisbon?", `weather {"place":"Lisbon"}`},
	{"what's the weather like in lisbon today", `weather {"day":"today","place":"lisbon"}`},
	{"Will it rain in New York tomorrow?", `weather {"day":"tomorrow","place":"New York"}`},
	{"Do I need an umbrella in Rio de Janeiro on Friday?", `weather {"day":"friday","place":"Rio de Janeiro"}`},
	{"How warm will it be in Oslo on 24 December?", `weather {"day":"2026-12-24","place":"Oslo"}`},
	{"forecast for 2026-11-25 in São Paulo", `weather {"day":"2026-11-25","place":"São Paulo"}`},
	{"Lisbon weather", `weather {"place":"Lisbon"}`},
	{"Convert 100 USD to EUR", `convert_currency {"amount":100,"from":"USD","to":"EUR"}`},
	{"How much is 1,250.50 euros in dollars?", `convert_currency {"amount":1250.5,"from":"EUR","to":"USD"}`},
	{"what is $20 in pounds sterling", `convert_currency {"amount":20,"from":"USD","to":"GBP"}`},
	{"What is 12 * (7 + 5)?", `calculate {"expression":"12 * (7 + 5)"}`},
	{"what is 12 times 7 plus 3", `calculate {"expression":"12 * 7 + 3"}`},
	{"Calculate 15% of 80", `calculate {"expression":"15 / 100 * 80"}`},
	{"Where is my order 1042?", `get_order {"order_id":"1042"}`},
	{"What's the status of order #A-77?", `get_order {"order_id":"A-77"}`},
	{"Please refund order 1042, it arrived damaged", `refund_order {"order_id":"1042","reason":"damaged"}`},
	{"Refund 30 euros of order B-2031", `refund_order {"amount":30,"order_id":"B-2031"}`},
	{"Schedule a meeting with Anna tomorrow at 3pm", `create_event {"attendees":["Anna"],"date":"2026-11-23","time":"15:00","title":"meeting"}`},
	{"Create an event called \"Budget review\" on 3 March 2027", `create_event {"date":"2027-03-03","title":"Budget review"}`},
	{"Create a calendar event \"Lunch\" with Bob and Carol on Friday", `create_event {"attendees":["Bob","Carol"],"date":"2026-11-27","title":"Lunch"}`},
	{"What events are in my calendar today?", `list_events {"date":"2026-11-22"}`},
	{"Which meetings do I have on Monday?", `list_events {"date":"2026-11-23"}`},
	{"Translate \"good morning\" to French", `translate {"target_language":"fr","text":"good morning"}`},
	{"Translate good night into German", `translate {"target_language":"de","text":"good night"}`},
	{"translate 'where is the station?' into Italian", `translate {"target_language":"it","text":"where is the station?"}`},
	{"Send an email to anna@example.com saying the order has shipped", `send_email {"body":"the order has shipped","to":"anna@example.com"}`},
	{"email bob@example.org: see you at noon", `send_email {"body":"see you at noon","to":"bob@example.org"}`},
	{"What is the share price of AAPL?", `stock_price {"symbol":"AAPL"}`},
	{"stock price MSFT", `stock_price {"symbol":"MSFT"}`},
	{"What is the driving distance from Paris to Lyon?", `find_route {"destination":"Lyon","mode":"driving","origin":"Paris"}`},
	{"Directions from Porto to Lisbon", `find_route {"destination":"Lisbon","origin":"Porto"}`},
	{"Find flights from Berlin to Madrid on 2026-12-01", `search_flights {"departure_date":"2026-12-01","from_city":"Berlin","to_city":"Madrid"}`},
	{"Flights from London to New York next Friday for 2 passengers", `search_flights {"departure_date":"2026-11-27","from_city":"London","passengers":2,"to_city":"New York"}`},
	{"What time is it in Tokyo?", `world_time {"city":"Tokyo"}`},
	{"Convert 10 miles to kilometers", `convert_units {"from_unit":"miles","to_unit":"kilometers","value":10}`},
	{"What is 72 fahrenheit in celsius?", `convert_units {"from_unit":"fahrenheit","to_unit":"celsius","value":72}`},

	{"Is it going to snow in Zurich this weekend?", `weather {"day":"2026-11-28","place":"Zurich"}`},
	{"How cold is Reykjavik right now?", `weather {"place":"Reykjavik"}`},
	{"How many yen do I get for 500 dollars?", `convert_currency {"amount":500,"from":"USD","to":"JPY"}`},
	{"Exchange 75 GBP into CHF please", `convert_currency {"amount":75,"from":"GBP","to":"CHF"}`},
	{"How much is 20% of 350?", `calculate {"expression":"20 / 100 * 350"}`},
	{"Has order ZX-991 been delivered yet?", `get_order {"order_id":"ZX-991"}`},
	{"I want a refund for order 555 because it was late", `refund_order {"order_id":"555","reason":"late"}`},
	{"Book a meeting \"Sprint planning\" for 2026-12-03 at 10:30", `create_event {"date":"2026-12-03","time":"10:30","title":"Sprint planning"}`},
	{"Do I have any appointments tomorrow?", `list_events {"date":"2026-11-23"}`},
	{"How do you say thank you in Spanish?", `translate {"target_language":"es","text":"thank you"}`},
	{"Translate 'I love you' to Portuguese, formal", `translate {"formal":true,"target_language":"pt","text":"I love you"}`},
	{"Write an email to joe@acme.io with subject \"Hello\" and body \"Are you there?\"", `send_email {"body":"Are you there?","subject":"Hello","to":"joe@acme.io"}`},
	{"What's Tesla trading at? The ticker is TSLA", `stock_price {"symbol":"TSLA"}`},
	{"How far is it from Munich to Vienna?", `find_route {"destination":"Vienna","origin":"Munich"}`},
	{"I need a flight from Oslo to Rome tomorrow", `search_flights {"departure_date":"2026-11-23","from_city":"Oslo","to_city":"Rome"}`},
	{"how many feet are 30 meters", `convert_units {"from_unit":"meters","to_unit":"feet","value":30}`},

	// Knowledge, which only documents have.
	{"What's the capital of France?", `search_documents {"query":"What's the capital of France?"}`},
	{"What does the handbook say about holidays?", `search_documents {"query":"What does the handbook say about holidays?"}`},
	{"Explain how the hub delivers events", `search_documents {"query":"Explain how the hub delivers events"}`},
	{"What happens when Redis is wiped?", `search_documents {"query":"What happens when Redis is wiped?"}`},
	{"How does Parley survive a replica's death?", `search_documents {"query":"How does Parley survive a replica's death?"}`},
	{"Search the documents for lease renewal", `search_documents {"query":"Search the documents for lease renewal"}`},
	{"What is a generation?", `search_documents {"query":"What is a generation?"}`},
	{"Why does the log have one writer?", `search_documents {"query":"Why does the log have one writer?"}`},

	// Several calls.
	{"What is the weather in Lisbon and in Oslo tomorrow?", `weather {"day":"tomorrow","place":"Lisbon"}
weather {"day":"tomorrow","place":"Oslo"}`},
	{"Weather in Paris, Rome and Berlin", `weather {"place":"Paris"}
weather {"place":"Rome"}
weather {"place":"Berlin"}`},
	{"Weather in Lisbon today and in Oslo tomorrow", `weather {"day":"today","place":"Lisbon"}
weather {"day":"tomorrow","place":"Oslo"}`},
	{"Weather in Lisbon today and tomorrow", `weather {"day":"today","place":"Lisbon"}
weather {"day":"tomorrow","place":"Lisbon"}`},
	{"weather tokyo and seoul tomorrow", `weather {"day":"tomorrow","place":"tokyo"}
weather {"day":"tomorrow","place":"seoul"}`},
	{"Is Lisbon warmer than Oslo?", `weather {"place":"Lisbon"}
weather {"place":"Oslo"}`},
	{"Compare the weather in Madrid with Barcelona", `weather {"place":"Madrid"}
weather {"place":"Barcelona"}`},
	{"What time is it in Tokyo and New York?", `world_time {"city":"Tokyo"}
world_time {"city":"New York"}`},
	{"Convert 100 USD to EUR and to GBP", `convert_currency {"amount":100,"from":"USD","to":"EUR"}
convert_currency {"amount":100,"from":"USD","to":"GBP"}`},
	{"What is the weather in Paris and convert 100 USD to EUR", `weather {"place":"Paris"}
convert_currency {"amount":100,"from":"USD","to":"EUR"}`},
	{"Where is order 1042? And what is the weather in Rome?", `get_order {"order_id":"1042"}
weather {"place":"Rome"}`},
	{"Translate \"cheers\" into Spanish and tell me the time in Madrid", `translate {"target_language":"es","text":"cheers"}
world_time {"city":"Madrid"}`},

	// No call.
	{"Hello!", "-"},
	{"Thank you", "-"},
	{"What can you do?", "-"},
	{"Are you a language model?", "-"},
	{"Write me a poem", "-"},
	{"Tell a joke", "-"},
	{"I feel tired.", "-"},
	{"I had a good time in Paris", "-"},
	{"How are you?", "-"},
	{"My name is Bob", "-"},
	{"Sing a song", "-"},
	{"Weather please", "-"},
	{"", "-"},
}

func TestDemoPicksToolsAndArguments(t *testing.T) {
	var tool, exact int
	for _, row := range demoTable {
		got := demoCalls(demoAskIt(t, row.question).calls)
		if got == "" {
			got = "-"
		}
		if demoNames(got) == demoNames(row.calls) {
			tool++
		} else {
			t.Errorf("%q\n got tools %s\nwant tools %s", row.question, got, row.calls)
			continue
		}
		if got == row.calls {
			exact++
		} else {
			t.Errorf("%q\n got %s\nwant %s", row.question, got, row.calls)
		}
	}
	n := len(demoTable)
	t.Logf("%d questions over %d tools: right tools %.3f, every argument exact %.3f", n, len(demoSpecs()),
		float64(tool)/float64(n), float64(exact)/float64(n))
}

func demoNames(calls string) string {
	var out []string
	for line := range strings.Lines(calls) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		out = append(out, name)
	}
	return strings.Join(out, " ")
}
