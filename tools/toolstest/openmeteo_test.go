package toolstest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"parley/tools/toolstest"
)

func meteo(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(&toolstest.OpenMeteo{Now: func() time.Time { return time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC) }})
	t.Cleanup(s.Close)
	return s.URL
}

func ask(t *testing.T, address string) (int, string) {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func TestOpenMeteoSpeaksAsTheRealOne(t *testing.T) {
	base := meteo(t)
	tests := map[string]struct {
		uri    string
		status int
		has    []string
		lacks  []string
	}{
		"a place":               {"/v1/search?name=Lisbon&count=1", 200, []string{`"country_code":"PT"`, `"timezone":"Europe/Lisbon"`}, nil},
		"no match, no results":  {"/v1/search?name=Xyzzy", 200, []string{"generationtime_ms"}, []string{"results"}},
		"zero is absent":        {"/v1/search?name=Macap", 200, []string{"longitude"}, []string{`"latitude"`, `"elevation"`}},
		"one letter":            {"/v1/search?name=L", 200, nil, []string{"results"}},
		"two letters, exact":    {"/v1/search?name=Li", 200, nil, []string{"results"}},
		"country after count":   {"/v1/search?name=Paris&count=1&countryCode=US", 200, nil, []string{"results"}},
		"count out of range":    {"/v1/search?name=Paris&count=101", 400, []string{`{"error":true,"reason":"Parameter count must be between 1 and 100."}`}, nil},
		"latitude out of range": {"/v1/forecast?latitude=95&longitude=0", 400, []string{"Latitude must be in range of -90 to 90°. Given: 95.0."}, nil},
		"days out of range":     {"/v1/forecast?latitude=1&longitude=0&forecast_days=17", 400, []string{"Forecast days is invalid. Allowed range 0 to 16. Given 16."}, nil},
		"unknown variable":      {"/v1/forecast?latitude=1&longitude=0&daily=foo", 400, []string{"from invalid String value foo"}, nil},
		"a week by default":     {"/v1/forecast?latitude=38.72&longitude=-9.14&daily=weather_code", 200, []string{`"2026-05-06","2026-05-07"`, `"2026-05-12"]`, `"latitude":38.75`}, []string{"2026-05-13"}},
		"24 hours a day":        {"/v1/forecast?latitude=1&longitude=0&hourly=temperature_2m&forecast_days=1", 200, []string{`"2026-05-06T23:00"`}, nil},
		"now":                   {"/v1/forecast?latitude=1&longitude=0&current=temperature_2m", 200, []string{`"interval":900`, `"time":"2026-05-06T12:00"`}, nil},
		"elsewhere":             {"/v1/nothing", 404, []string{`"error":true`}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			status, body := ask(t, base+test.uri)
			if status != test.status || !json.Valid([]byte(body)) {
				t.Errorf("status %d: %s", status, body)
			}
			for _, s := range test.has {
				if !strings.Contains(body, s) {
					t.Errorf("lacks %s: %s", s, body)
				}
			}
			for _, s := range test.lacks {
				if strings.Contains(body, s) {
					t.Errorf("has %s: %s", s, body)
				}
			}
		})
	}
}

func TestOpenMeteoIsToldToMisbehave(t *testing.T) {
	base := meteo(t)
	req, _ := http.NewRequest(http.MethodPut, base+"/fault", strings.NewReader(`{"status":429,"path":"/v1/search"}`))
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Fatal(err)
	}
	resp.Body.Close()
	if status, body := ask(t, base+"/v1/search?name=Oslo"); status != 429 || !strings.Contains(body, "Minutely API request limit exceeded") {
		t.Errorf("status %d: %s", status, body)
	}
	if status, _ := ask(t, base+"/v1/forecast?latitude=1&longitude=0"); status != 200 {
		t.Errorf("status %d", status)
	}
}
