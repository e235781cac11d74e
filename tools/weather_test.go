package tools_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"parley/tools"
	"parley/tools/toolstest"
)

func weather(t *testing.T) (*toolstest.OpenMeteo, tools.Endpoint, *tools.Client) {
	t.Helper()
	meteo := &toolstest.OpenMeteo{}
	base, client := serve(t, meteo)
	return meteo, tools.Weather(base, base), client
}

func TestWeatherToday(t *testing.T) {
	_, e, client := weather(t)
	before := time.Now().UTC().Format(time.DateOnly)
	res := call(t, client, e, `{"place":"Lisbon"}`)
	if res.Failed {
		t.Fatal(res.Content)
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(res.Content), &got); err != nil {
		t.Fatal(err)
	}
	if got["place"] != "Lisbon" || got["country"] != "Portugal" || got["attribution"] != "Weather data by [Open-Meteo.com](https://open-meteo.com/)" {
		t.Errorf("got %v", got)
	}
	if got["date"] < before {
		t.Errorf("today is %s, not %s", before, got["date"])
	}
	want := fmt.Sprintf("%v to %v °C",
		toolstest.Value("temperature_2m_min", got["date"], 38.72509, -9.1498), toolstest.Value("temperature_2m_max", got["date"], 38.72509, -9.1498))
	if got["temperature"] != want {
		t.Errorf("temperature %q, want %q", got["temperature"], want)
	}
	if res.Outcome.Requests != 2 || res.Outcome.Status != 200 || res.Outcome.Method != "GET" || res.Outcome.Bytes == 0 {
		t.Errorf("outcome %+v", res.Outcome)
	}
	if len(res.Content) > 500 {
		t.Errorf("a result of %d bytes is not small", len(res.Content))
	}
	for code := range 10 {
		if got["weather"] == fmt.Sprint(code) || got["weather"] == "" {
			t.Errorf("the weather is %q, no words", got["weather"])
		}
	}
}

func TestWeatherFailuresAreReadable(t *testing.T) {
	tests := map[string]struct {
		args  string
		fault toolstest.Fault
		want  []string
	}{
		"no such place":        {`{"place":"Xyzzyville"}`, toolstest.Fault{}, []string{"No place called Xyzzyville was found"}},
		"no such day":          {`{"place":"Oslo","day":"whenever"}`, toolstest.Fault{}, []string{`"whenever" is no day`, "YYYY-MM-DD"}},
		"too far ahead":        {`{"place":"Oslo","day":"2199-01-01"}`, toolstest.Fault{}, []string{"400", "out of allowed range"}},
		"place missing":        {`{}`, toolstest.Fault{}, []string{"missing property 'place'", "schema of place"}},
		"place is a number":    {`{"place":12}`, toolstest.Fault{}, []string{"at /place", "want string"}},
		"unknown argument":     {`{"place":"Oslo","units":"F"}`, toolstest.Fault{}, []string{`no parameter "units"`, "day, place"}},
		"limit reached":        {`{"place":"Oslo"}`, toolstest.Fault{Status: 429}, []string{"429", "Please try again in one minute", "wait"}},
		"overloaded":           {`{"place":"Oslo"}`, toolstest.Fault{Status: 503, Path: "/v1/forecast"}, []string{"503", "overloaded", "later"}},
		"broken off":           {`{"place":"Oslo"}`, toolstest.Fault{Truncate: true}, []string{"broke off"}},
		"error in mid-answer":  {`{"place":"Oslo"}`, toolstest.Fault{MidStream: true, Path: "/v1/forecast"}, []string{"not valid JSON", "Unexpected error while streaming data"}},
		"answer without place": {`{"place":"Os"}`, toolstest.Fault{}, []string{"No place called Os"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			meteo, e, client := weather(t)
			meteo.SetFault(test.fault)
			res := call(t, client, e, test.args)
			if !res.Failed || !res.Outcome.Failed || res.Outcome.Reason == "" {
				t.Fatalf("did not fail: %+v", res)
			}
			mustContain(t, "the result", res.Content, test.want...)
		})
	}
}

func TestWeatherTimesOut(t *testing.T) {
	meteo, e, client := weather(t)
	meteo.SetFault(toolstest.Fault{Latency: time.Hour})
	e.TimeoutMs = 50
	res := call(t, client, e, `{"place":"Oslo"}`)
	mustContain(t, "the result", res.Content, "no whole answer within 50ms")
}

func TestWeatherWithoutValues(t *testing.T) {
	meteo, e, client := weather(t)
	meteo.SetFault(toolstest.Fault{Nulls: true})
	res := call(t, client, e, `{"place":"Oslo"}`)
	var got map[string]string
	if err := json.Unmarshal([]byte(res.Content), &got); err != nil {
		t.Fatalf("%v: %s", err, res.Content)
	}
	if _, ok := got["temperature"]; ok || got["place"] != "Oslo" {
		t.Errorf("an absent value is shown: %v", got)
	}
}

func TestWeatherPlaces(t *testing.T) {
	tests := map[string]struct{ place, country, region string }{
		"on the equator, where Open-Meteo leaves the latitude out": {"Macapá", "Brazil", "Amapá"},
		"told from a namesake by its region":                       {"Portland, Maine", "United States", "Maine"},
		"the largest of its name":                                  {"Paris", "France", "Île-de-France"},
		"without a region":                                         {"Singapore", "Singapore", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, e, client := weather(t)
			args, _ := json.Marshal(map[string]string{"place": test.place})
			res := call(t, client, e, string(args))
			var got map[string]string
			if err := json.Unmarshal([]byte(res.Content), &got); err != nil {
				t.Fatalf("%v: %s", err, res.Content)
			}
			if got["country"] != test.country || got["region"] != test.region {
				t.Errorf("got %v", got)
			}
		})
	}
}
