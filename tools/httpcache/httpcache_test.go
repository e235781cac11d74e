package httpcache_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/tools/httpcache"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) string { return noon.Add(d).Format(http.TimeFormat) }

// header reads lines of "Name: value".
func header(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

func TestWhatIsFreshForHowLong(t *testing.T) {
	tests := map[string]struct {
		header []string
		want   time.Duration // from noon on, when it was received
	}{
		"max-age":                            {[]string{"Cache-Control: max-age=60"}, time.Minute},
		"max-age in capitals, among others":  {[]string{"Cache-Control: Private, MAX-AGE=60 , foo=\"a, max-age=9\""}, time.Minute},
		"max-age in quotes":                  {[]string{`Cache-Control: max-age="60"`}, time.Minute},
		"max-age in the second field":        {[]string{"Cache-Control: public", "Cache-Control: max-age=60"}, time.Minute},
		"max-age twice":                      {[]string{"Cache-Control: max-age=60, max-age=10"}, 10 * time.Second},
		"max-age that is no number":          {[]string{"Cache-Control: max-age=soon", "Expires: " + at(time.Hour)}, 0},
		"max-age below zero":                 {[]string{"Cache-Control: max-age=-1"}, 0},
		"max-age beyond all numbers":         {[]string{"Cache-Control: max-age=99999999999999999999999"}, 365 * 24 * time.Hour},
		"what has aged elsewhere":            {[]string{"Cache-Control: max-age=60", "Age: 20"}, 40 * time.Second},
		"what was made a while ago":          {[]string{"Cache-Control: max-age=60", "Date: " + at(-30*time.Second)}, 30 * time.Second},
		"a clock that is fast":               {[]string{"Cache-Control: max-age=60", "Date: " + at(time.Hour)}, time.Minute},
		"s-maxage is for others":             {[]string{"Cache-Control: max-age=60, s-maxage=600"}, time.Minute},
		"Expires":                            {[]string{"Date: " + at(0), "Expires: " + at(time.Minute)}, time.Minute},
		"Expires of a clock that is behind":  {[]string{"Date: " + at(-time.Hour), "Expires: " + at(-59*time.Minute)}, 0},
		"Expires without Date":               {[]string{"Expires: " + at(time.Minute)}, time.Minute},
		"Expires: 0":                         {[]string{"Expires: 0"}, 0},
		"max-age outdoes Expires":            {[]string{"Cache-Control: max-age=60", "Expires: 0"}, time.Minute},
		"no-cache outdoes both":              {[]string{"Cache-Control: max-age=60, no-cache", "Expires: " + at(time.Hour)}, 0},
		"nothing said, so what was declared": {[]string{"Content-Type: text/plain"}, 5 * time.Second},
		"nothing about time":                 {[]string{"Cache-Control: private"}, 5 * time.Second},
		"a directive in words of its own":    {[]string{"Cache-Control: xmax-age=60"}, 5 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := &httpcache.Entry{Header: header(test.header...), Requested: noon, Received: noon, Declared: 5 * time.Second}
			if test.want > 0 && !e.Fresh(noon.Add(test.want-time.Second)) {
				t.Errorf("it is stale before %v", test.want)
			}
			if e.Fresh(noon.Add(test.want)) {
				t.Errorf("it is fresh after %v", test.want)
			}
		})
	}
}

func TestWhatMayBeKept(t *testing.T) {
	tests := map[string]struct {
		status   int
		declared time.Duration
		header   []string
		want     bool
	}{
		"fresh for a while":          {200, 0, []string{"Cache-Control: max-age=60"}, true},
		"private, as this cache is":  {200, 0, []string{"Cache-Control: private, max-age=60"}, true},
		"with a tag":                 {200, 0, []string{`ETag: "1"`}, true},
		"with a time of change":      {200, 0, []string{"Last-Modified: " + at(0)}, true},
		"no-cache, with a tag":       {200, 0, []string{"Cache-Control: no-cache", `ETag: "1"`}, true},
		"no-cache, without":          {200, 0, []string{"Cache-Control: no-cache"}, false},
		"no-cache, and declared":     {200, time.Minute, []string{"Cache-Control: no-cache"}, false},
		"no-store":                   {200, time.Minute, []string{"Cache-Control: no-store, max-age=60", `ETag: "1"`}, false},
		"nothing is said":            {200, 0, nil, false},
		"nothing is said, declared":  {200, time.Minute, nil, true},
		"expired, declared":          {200, time.Minute, []string{"Expires: 0"}, false},
		"must-revalidate, declared":  {200, time.Minute, []string{"Cache-Control: must-revalidate"}, false},
		"not found":                  {404, 0, []string{"Cache-Control: max-age=60"}, true},
		"gone":                       {410, 0, []string{"Cache-Control: max-age=60"}, true},
		"a part":                     {206, 0, []string{"Cache-Control: max-age=60"}, false},
		"a part, says the answer":    {200, 0, []string{"Cache-Control: max-age=60", "Content-Range: bytes 0-1/2"}, false},
		"a fault":                    {500, 0, []string{"Cache-Control: max-age=60"}, false},
		"a redirect for now":         {302, 0, []string{"Cache-Control: max-age=60"}, false},
		"varies by a header":         {200, 0, []string{"Cache-Control: max-age=60", "Vary: Accept, Accept-Language"}, true},
		"varies by anything":         {200, 0, []string{"Cache-Control: max-age=60", "Vary: Accept", "Vary: x, *"}, false},
		"varies by what is no key's": {200, 0, []string{"Cache-Control: max-age=60", "Vary: traceparent"}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := httpcache.Policy{Declared: test.declared, Unkeyed: []string{"Traceparent"}}
			if got := p.Storable(test.status, header(test.header...)); got != test.want {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestWhatMayBeAskedOfACache(t *testing.T) {
	for name, test := range map[string]struct {
		method string
		header []string
		may    bool
		must   bool
	}{
		"GET":                     {"GET", nil, true, false},
		"HEAD":                    {"HEAD", nil, true, false},
		"POST":                    {"POST", nil, false, false},
		"a part":                  {"GET", []string{"Range: bytes=0-1"}, false, false},
		"on a condition":          {"GET", []string{`If-None-Match: "1"`}, false, false},
		"no-store":                {"GET", []string{"Cache-Control: no-store"}, false, false},
		"no-cache":                {"GET", []string{"Cache-Control: no-cache"}, true, true},
		"nothing that is old":     {"GET", []string{"Cache-Control: max-age=0"}, true, true},
		"something that is young": {"GET", []string{"Cache-Control: max-age=10"}, true, false},
	} {
		h := header(test.header...)
		if may, must := httpcache.Askable(test.method, h), httpcache.MustAsk(h); may != test.may || must != test.must {
			t.Errorf("%s: %v, %v", name, may, must)
		}
	}
}

func TestAStaleAnswerStandsInOnlyWhereItMay(t *testing.T) {
	for control, want := range map[string]bool{
		"max-age=60, stale-if-error=120":                  true,
		"max-age=60":                                      false,
		"max-age=60, stale-if-error=30":                   false,
		"max-age=60, stale-if-error=120, must-revalidate": false,
		"no-cache, stale-if-error=120":                    false,
	} {
		e := &httpcache.Entry{Header: header("Cache-Control: " + control), Requested: noon, Received: noon}
		if got := e.FreshOnError(noon.Add(100 * time.Second)); got != want {
			t.Errorf("%s: %v", control, got)
		}
	}
}

func TestAConfirmedAnswerIsYoungAgain(t *testing.T) {
	e := &httpcache.Entry{
		Header:    header(`ETag: "1"`, "Cache-Control: max-age=60", "Age: 30", "Content-Type: text/plain"),
		Requested: noon, Received: noon,
	}
	h := http.Header{}
	if !e.Condition(h) || h.Get("If-None-Match") != `"1"` {
		t.Errorf("conditions %v", h)
	}
	later := noon.Add(time.Hour)
	if !e.Refresh(header(`ETag: W/"1"`, "Cache-Control: max-age=120", "Content-Type: text/html", "Date: "+at(time.Hour)), later, later) {
		t.Fatal("the same tag is taken for another")
	}
	if !e.Fresh(later.Add(119*time.Second)) || e.Fresh(later.Add(120*time.Second)) || e.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("headers %v, age %v", e.Header, e.Age(later))
	}
	if e.Refresh(header(`ETag: "2"`), later, later) {
		t.Error("another tag is taken for the same")
	}
}

func TestAnEntryIsKeptWhileItIsOfUse(t *testing.T) {
	for name, test := range map[string]struct {
		header []string
		want   time.Duration
	}{
		"while it is fresh":                  {[]string{"Cache-Control: max-age=60"}, time.Minute},
		"while it may stand in":              {[]string{"Cache-Control: max-age=60, stale-if-error=60"}, 2 * time.Minute},
		"for a while that it can be checked": {[]string{"Cache-Control: no-cache", `ETag: "1"`}, 6 * time.Hour},
		"at most a day":                      {[]string{"Cache-Control: max-age=9999999"}, 24 * time.Hour},
	} {
		e := &httpcache.Entry{Header: header(test.header...), Requested: noon, Received: noon}
		if got := e.Keep(noon); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestEntriesAreKeptWhole(t *testing.T) {
	e := httpcache.Entry{
		Status: 404, Header: header("Content-Type: a\tb", `ETag: "\"`), Body: []byte("\n\x00{}\n"),
		Requested: noon, Received: noon.Add(time.Second), Declared: time.Minute, Mark: "m",
	}
	b, err := e.MarshalBinary()
	var got httpcache.Entry
	if err != nil || got.UnmarshalBinary(b) != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(e, got); d != "" {
		t.Error(d)
	}
}

// However an answer contradicts itself, it is never fresh for longer than any
// part of it says, and no-store is always heeded.
func TestFreshnessIsNeverMadeUp(t *testing.T) {
	prop := func(a, b uint16, age uint16, elapsed uint16) bool {
		e := &httpcache.Entry{Requested: noon, Received: noon}
		e.Header = header("Cache-Control: max-age="+itoa(a), "Cache-Control: max-age="+itoa(b), "Age: "+itoa(age))
		now := noon.Add(time.Duration(elapsed) * time.Second)
		return !e.Fresh(now) || uint32(age)+uint32(elapsed) < uint32(min(a, b))
	}
	if err := quick.Check(prop, nil); err != nil {
		t.Error(err)
	}
}

func itoa(n uint16) string { return strconv.Itoa(int(n)) }

func FuzzCacheControl(f *testing.F) {
	for _, s := range []string{"max-age=60", `a="b,c", no-store`, `max-age="`, `=,=,"`, `a="\`, "no-store", " , ,", "max-age=18446744073709551616"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e := &httpcache.Entry{Header: http.Header{"Cache-Control": {s}}, Requested: noon, Received: noon}
		if d := e.Lifetime(); d < 0 || d > 365*24*time.Hour {
			t.Errorf("%q: %v", s, d)
		}
		with := http.Header{"Cache-Control": {s + "\"\",no-store"}}
		if !strings.Contains(s, `"`) && (httpcache.Policy{Declared: time.Hour}).Storable(200, with) {
			t.Errorf("%q: no-store is not heeded", s)
		}
	})
}
