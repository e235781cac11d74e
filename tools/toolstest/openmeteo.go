package toolstest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // the host may have no zones
)

//go:embed cities.tsv
var citiesTSV string

// A Fault makes an [OpenMeteo] misbehave. The zero value is good behaviour.
type Fault struct {
	Path      string        `json:"path,omitempty"`      // where: /v1/search or /v1/forecast; empty means both
	Status    int           `json:"status,omitempty"`    // 429 or 503, with Open-Meteo's words
	Latency   time.Duration `json:"latency,omitempty"`   // before the answer, ns; ends with the request
	Truncate  bool          `json:"truncate,omitempty"`  // the body breaks off in the middle
	MidStream bool          `json:"midStream,omitempty"` // status 200, then an error text in the midst of the JSON
	Nulls     bool          `json:"nulls,omitempty"`     // every forecast value is null
}

// An OpenMeteo is a stand-in for both of Open-Meteo's services, geocoding
// (/v1/search) and forecast (/v1/forecast), with the shapes and the error
// texts of the real ones. It knows the places of cities.tsv; its weather
// depends on nothing but coordinates and date. A child process can be told to
// misbehave by PUT /fault with a [Fault] as JSON. The zero value is ready. All
// methods may be called concurrently.
type OpenMeteo struct {
	Now func() time.Time // nil means time.Now

	mu       sync.Mutex
	fault    Fault
	requests []string // URIs as asked
}

// SetFault makes the server misbehave from now on.
func (o *OpenMeteo) SetFault(f Fault) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fault = f
}

// Requests returns the URIs that were asked for, in order.
func (o *OpenMeteo) Requests() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.requests)
}

func (o *OpenMeteo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/fault" {
		o.takeFault(w, r)
		return
	}
	o.mu.Lock()
	o.requests = append(o.requests, r.URL.RequestURI())
	f := o.fault
	o.mu.Unlock()
	if f.Path != "" && f.Path != r.URL.Path {
		f = Fault{}
	}
	if !wait(r, f.Latency) {
		return
	}
	switch {
	case f.Status == http.StatusTooManyRequests:
		refuse(w, f.Status, "Minutely API request limit exceeded. Please try again in one minute.")
	case f.Status != 0:
		refuse(w, f.Status, "The service is overloaded")
	case r.Method != http.MethodGet:
		refuse(w, http.StatusMethodNotAllowed, "Method Not Allowed")
	case r.URL.Path == "/v1/search":
		o.search(w, r, f)
	case r.URL.Path == "/v1/forecast":
		o.forecast(w, r, f)
	default:
		refuse(w, http.StatusNotFound, "Not Found")
	}
}

func (o *OpenMeteo) takeFault(w http.ResponseWriter, r *http.Request) {
	var f Fault
	if r.Method != http.MethodPut || json.NewDecoder(r.Body).Decode(&f) != nil {
		refuse(w, http.StatusBadRequest, "PUT a fault as JSON")
		return
	}
	o.SetFault(f)
	w.WriteHeader(http.StatusNoContent)
}

// wait returns false if the request ended before d had passed.
func wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-r.Context().Done():
		return false
	case <-time.After(d):
		return true
	}
}

func refuse(w http.ResponseWriter, status int, reason string) {
	writeJSON(w, status, map[string]any{"error": true, "reason": reason}, Fault{})
}

func writeJSON(w http.ResponseWriter, status int, v any, f Fault) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it is our own
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if f.Truncate {
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		b = b[:len(b)/2]
	}
	if f.MidStream {
		b = append(b[:len(b)/2], "Unexpected error while streaming data: timeoutReached"...)
	}
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// A place is a geocoding result. As in protobuf's JSON, what is empty or zero
// is absent.
type place struct {
	ID          int     `json:"id"`
	Name        string  `json:"name,omitempty"`
	Latitude    float64 `json:"latitude,omitempty"`
	Longitude   float64 `json:"longitude,omitempty"`
	Elevation   float64 `json:"elevation,omitempty"`
	FeatureCode string  `json:"feature_code,omitempty"`
	CountryCode string  `json:"country_code,omitempty"`
	CountryID   int     `json:"country_id,omitempty"`
	Admin1ID    int     `json:"admin1_id,omitempty"`
	Timezone    string  `json:"timezone,omitempty"`
	Population  int     `json:"population,omitempty"`
	Country     string  `json:"country,omitempty"`
	Admin1      string  `json:"admin1,omitempty"`
}

func places() []place {
	var ps []place
	for i, line := range strings.Split(strings.TrimSpace(citiesTSV), "\n") {
		f := strings.Split(line, "\t")
		p := place{
			ID: 1000 + i, Name: f[0], FeatureCode: "PPL", CountryCode: f[4], CountryID: 10 + i%7,
			Country: f[5], Admin1: f[6], Timezone: f[7],
		}
		p.Latitude, _ = strconv.ParseFloat(f[1], 64)
		p.Longitude, _ = strconv.ParseFloat(f[2], 64)
		p.Elevation, _ = strconv.ParseFloat(f[3], 64)
		p.Population, _ = strconv.Atoi(f[8])
		if p.Admin1 != "" {
			p.Admin1ID = 5000 + i
		}
		ps = append(ps, p)
	}
	slices.SortStableFunc(ps, func(a, b place) int { return b.Population - a.Population })
	return ps
}

func (o *OpenMeteo) search(w http.ResponseWriter, r *http.Request, f Fault) {
	q := r.URL.Query()
	count := 10
	if s := q.Get("count"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 100 {
			refuse(w, http.StatusBadRequest, "Parameter count must be between 1 and 100.")
			return
		}
		count = n
	}
	if !q.Has("name") {
		refuse(w, http.StatusBadRequest, "Parameter name must be set.")
		return
	}
	found := match(q.Get("name"))
	found = found[:min(count, len(found))]
	if code := q.Get("countryCode"); code != "" { // after count, as there
		found = slices.DeleteFunc(found, func(p place) bool { return p.CountryCode != code })
	}
	answer := map[string]any{"generationtime_ms": 0.4}
	if len(found) > 0 {
		answer["results"] = found
	}
	writeJSON(w, http.StatusOK, answer, f)
}

// match finds nothing for fewer than two letters, exact names for two and
// beginnings for more. "City, Region" filters by the second part.
func match(name string) []place {
	name, region, _ := strings.Cut(name, ",")
	name, region = fold(name), fold(region)
	if len([]rune(name)) < 2 {
		return nil
	}
	return slices.DeleteFunc(places(), func(p place) bool {
		have := fold(p.Name)
		named := have == name || len([]rune(name)) > 2 && strings.HasPrefix(have, name)
		return !named || region != "" && !slices.Contains([]string{fold(p.Admin1), fold(p.Country), fold(p.CountryCode)}, region)
	})
}

func fold(s string) string {
	return strings.NewReplacer("é", "e", "á", "a", "ã", "a", "í", "i", "ü", "u", "î", "i", "ș", "s").Replace(strings.ToLower(strings.TrimSpace(s)))
}

// Variables of a forecast that the stand-in knows, with their units.
func units() map[string]string {
	return map[string]string{
		"weather_code": "wmo code", "temperature_2m": "°C", "temperature_2m_max": "°C", "temperature_2m_min": "°C",
		"apparent_temperature": "°C", "relative_humidity_2m": "%", "precipitation": "mm", "precipitation_sum": "mm",
		"precipitation_probability": "%", "precipitation_probability_max": "%", "wind_speed_10m": "km/h",
		"wind_speed_10m_max": "km/h", "wind_direction_10m": "°", "sunrise": "iso8601", "sunset": "iso8601", "is_day": "",
	}
}

func (o *OpenMeteo) forecast(w http.ResponseWriter, r *http.Request, f Fault) {
	q := r.URL.Query()
	lat, lon, reason := coordinates(q.Get("latitude"), q.Get("longitude"))
	zone, err := zoneOf(q.Get("timezone"))
	if reason == "" && err != nil {
		reason = "Invalid timezone"
	}
	now := time.Now()
	if o.Now != nil {
		now = o.Now()
	}
	var days []string
	if reason == "" {
		days, reason = daysOf(q.Get("start_date"), q.Get("end_date"), q.Get("forecast_days"), now.In(zone))
	}
	_, offset := now.In(zone).Zone()
	answer := map[string]any{
		"latitude": snap(lat), "longitude": snap(lon), "generationtime_ms": 0.05, "utc_offset_seconds": offset,
		"timezone": zone.String(), "timezone_abbreviation": now.In(zone).Format("MST"), "elevation": math.Round(math.Abs(lat)),
	}
	for _, block := range []string{"current", "hourly", "daily"} {
		if vars := q.Get(block); vars != "" && reason == "" {
			reason = fill(answer, block, strings.Split(vars, ","), days, now.In(zone), lat, lon, f.Nulls)
		}
	}
	if reason != "" {
		refuse(w, http.StatusBadRequest, reason)
		return
	}
	writeJSON(w, http.StatusOK, answer, f)
}

func coordinates(lat, lon string) (float64, float64, string) {
	a, err1 := strconv.ParseFloat(lat, 64)
	b, err2 := strconv.ParseFloat(lon, 64)
	switch {
	case lat == "" || lon == "" || err1 != nil || err2 != nil:
		return 0, 0, "Parameter 'latitude' and 'longitude' must have the same number of elements"
	case a < -90 || a > 90:
		return 0, 0, fmt.Sprintf("Latitude must be in range of -90 to 90°. Given: %.1f.", a)
	case b < -180 || b > 180:
		return 0, 0, fmt.Sprintf("Longitude must be in range of -180 to 180°. Given: %.1f.", b)
	}
	return a, b, ""
}

func zoneOf(name string) (*time.Location, error) {
	if name == "" || name == "auto" || name == "GMT" {
		name = "UTC"
	}
	return time.LoadLocation(name)
}

// snap moves a coordinate to the centre of a grid cell.
func snap(x float64) float64 { return math.Round(x*8) / 8 }

func daysOf(start, end, count string, today time.Time) ([]string, string) {
	first, last := today, today.AddDate(0, 0, 6)
	if count != "" {
		n, err := strconv.Atoi(count)
		if err != nil || n < 0 || n > 16 {
			return nil, "Forecast days is invalid. Allowed range 0 to 16. Given 16."
		}
		last = today.AddDate(0, 0, n-1)
	}
	if start != "" {
		var err1, err2 error
		first, err1 = time.ParseInLocation(time.DateOnly, start, today.Location())
		last, err2 = time.ParseInLocation(time.DateOnly, end, today.Location())
		oldest, newest := today.AddDate(0, 0, -93), today.AddDate(0, 0, 15)
		if err1 != nil || err2 != nil {
			return nil, "Invalid date format. Make sure to use 'YYYY-MM-DD'"
		}
		if first.Before(oldest) || first.After(newest) {
			return nil, fmt.Sprintf("Parameter 'start_date' is out of allowed range from %s to %s", oldest.Format(time.DateOnly), newest.Format(time.DateOnly))
		}
	}
	var days []string
	for d := first; !d.After(last); d = d.AddDate(0, 0, 1) {
		days = append(days, d.Format(time.DateOnly))
	}
	return days, ""
}

// fill adds a block and its units. It returns the reason if a variable is not
// known.
func fill(answer map[string]any, block string, vars, days []string, now time.Time, lat, lon float64, nulls bool) string {
	times := days
	if block == "hourly" {
		times = hours(days)
	}
	unit := map[string]string{"time": "iso8601"}
	values := map[string]any{"time": times}
	if block == "current" {
		times = []string{now.Truncate(15 * time.Minute).Format("2006-01-02T15:04")}
		unit["interval"] = "seconds"
		values = map[string]any{"time": times[0], "interval": 900}
	}
	for _, name := range vars {
		u, ok := units()[name]
		if !ok {
			return fmt.Sprintf("Data corrupted at path ''. Cannot initialize %s from invalid String value %s.", typeOf(block), name)
		}
		unit[name] = u
		series := make([]any, len(times))
		for i, t := range times {
			if !nulls {
				series[i] = Value(name, t, lat, lon)
			}
		}
		values[name] = series
		if block == "current" {
			values[name] = series[0]
		}
	}
	answer[block+"_units"], answer[block] = unit, values
	return ""
}

func typeOf(block string) string {
	return map[string]string{"current": "ForecastVariable", "hourly": "ForecastVariable", "daily": "ForecastVariableDaily"}[block]
}

func hours(days []string) (out []string) {
	for _, d := range days {
		for h := range 24 {
			out = append(out, fmt.Sprintf("%sT%02d:00", d, h))
		}
	}
	return out
}

// Value returns what the stand-in forecasts for a variable: the same for the
// same place and time, always.
func Value(name, at string, lat, lon float64) any {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s %.3f %.3f", at, snap(lat), snap(lon))
	seed := float64(h.Sum32()%1000) / 1000 // 0..1
	warmth := 30 - math.Abs(lat)/2 + seed*8
	codes := []int{0, 1, 2, 3, 45, 51, 61, 63, 65, 71, 80, 95}
	round := func(x float64) float64 { return math.Round(x*10) / 10 }
	switch name {
	case "weather_code":
		return codes[int(seed*float64(len(codes)))]
	case "temperature_2m_min":
		return round(warmth - 6)
	case "temperature_2m_max", "temperature_2m", "apparent_temperature":
		return round(warmth)
	case "precipitation", "precipitation_sum":
		return round(seed * 12)
	case "wind_speed_10m", "wind_speed_10m_max":
		return round(4 + seed*30)
	case "sunrise":
		return at + "T06:30"
	case "sunset":
		return at + "T18:45"
	case "is_day":
		return 1
	}
	return int(seed * 100)
}
