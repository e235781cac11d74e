package provider

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A demoForecast is the weather at one place on one day, as far as a result
// tells it.
type demoForecast struct {
	place, day, sky              string
	low, high, now               string
	rain, chance, wind, humidity string
	credit                       string
}

// demoWeather puts results that look like weather into words, or returns
// nothing. It knows no tool: it goes by the keys.
func demoWeather(asked string, values []demoValue) string {
	var all []demoForecast
	for _, v := range values {
		found := demoForecasts(v)
		if len(found) == 0 {
			return ""
		}
		all = append(all, found...)
	}
	all = all[:min(len(all), 2*demoMaxRows)]
	text := ""
	if len(all) == 1 {
		text = all[0].sentence()
	} else {
		text = demoForecastTable(all)
	}
	if remark := demoRemark(asked, all); remark != "" {
		text += "\n\n" + remark
	}
	if credit := all[0].credit; credit != "" {
		text += "\n\n" + credit
	}
	return text
}

// demoForecasts returns a forecast for each object that tells a temperature.
func demoForecasts(v demoValue) []demoForecast {
	base := demoForecast{}
	base.day = demoText(demoFirst(v.args, "day", "date", "when"))
	base.place = demoText(demoFirst(v.args, "place", "city", "location", "town", "name"))
	w := demoWeatherWalk{}
	w.visit(v.value, base, nil, 0)
	return w.found
}

type demoWeatherWalk struct{ found []demoForecast }

func (w *demoWeatherWalk) visit(v any, base demoForecast, units *demoObject, depth int) {
	if list, ok := v.([]any); ok && depth < 5 {
		for _, item := range list {
			w.visit(item, base, units, depth+1)
		}
		return
	}
	o, ok := v.(*demoObject)
	if !ok || depth >= 5 {
		return
	}
	base = base.of(o, units)
	if base.now+base.high+base.low != "" && base.tells(o) {
		w.found = append(w.found, base)
		base.now, base.high, base.low, base.sky, base.rain, base.chance, base.wind, base.humidity = "", "", "", "", "", "", "", ""
	}
	for _, key := range o.keys {
		if strings.Contains(key, "unit") || key == "hourly" {
			continue
		}
		inner, _ := o.get(key + "_units").(*demoObject)
		if inner == nil {
			inner, _ = o.get("units").(*demoObject)
		}
		if inner == nil {
			inner = units
		}
		w.visit(demoUnzip(o.get(key)), base, inner, depth+1)
	}
}

// tells reports whether the object itself has a temperature and something
// else of the weather.
func (f demoForecast) tells(o *demoObject) bool {
	temps := slices.ContainsFunc(o.keys, func(k string) bool { return strings.Contains(strings.ToLower(k), "temp") })
	return temps && (f.sky+f.rain+f.chance+f.wind+f.humidity != "" || f.high != "" && f.low != "")
}

// demoUnzip makes a list of objects of an object of lists as long as each
// other.
func demoUnzip(v any) any {
	o, ok := v.(*demoObject)
	if !ok || len(o.keys) == 0 {
		return v
	}
	first, _ := o.get(o.keys[0]).([]any)
	rows := make([]any, len(first))
	for i := range rows {
		rows[i] = &demoObject{keys: o.keys, values: map[string]any{}}
	}
	for _, key := range o.keys {
		list, _ := o.get(key).([]any)
		if len(list) == 0 || len(list) != len(first) {
			return v
		}
		for i, item := range list {
			rows[i].(*demoObject).values[key] = item
		}
	}
	return rows
}

// demoFirst returns the value of the first of the keys that the object has.
func demoFirst(o *demoObject, keys ...string) any {
	for _, k := range keys {
		if v, ok := o.values[k]; ok && v != nil {
			return v
		}
	}
	return nil
}

// of returns the forecast with what an object adds to it.
func (f demoForecast) of(o, units *demoObject) demoForecast {
	set := func(to *string, text string) {
		if text != "" {
			*to = text
		}
	}
	place := demoFirst(o, "place", "city", "location", "name")
	if inner, ok := place.(*demoObject); ok {
		f = f.of(inner, nil)
	} else if text := demoText(place); text != "" {
		f.place = text
		if country := demoText(o.get("country")); country != "" && !strings.Contains(text, country) {
			f.place += ", " + country
		}
	}
	set(&f.day, demoDayText(demoText(demoFirst(o, "date", "day", "time"))))
	set(&f.sky, demoSky(o))
	measure := func(has, not string) string { return demoMeasure(o, units, has, not) }
	set(&f.high, measure("temp max|temp high|high", "apparent feels wind humid"))
	set(&f.low, measure("temp min|temp low|low", "apparent feels wind humid cloud"))
	set(&f.now, measure("temp", "max min high low apparent feels water dew unit"))
	set(&f.chance, measure("prob|chance", "snow"))
	set(&f.rain, measure("precip|rain", "prob chance hours"))
	set(&f.wind, measure("wind", "dir gust degree"))
	set(&f.humidity, measure("humid", "max min"))
	set(&f.credit, demoLine(demoPlainText(demoFirst(o, "attribution", "credit")), 200))
	return f
}

func demoPlainText(v any) string {
	s, _ := v.(string)
	return demoImage.ReplaceAllString(s, "") // a picture would tell its server who reads
}

// demoMeasure returns a figure with its unit: of the first key that has all
// the words of one choice and none of the others.
func demoMeasure(o, units *demoObject, choices, not string) string {
	for choice := range strings.SplitSeq(choices, "|") {
		for _, key := range o.keys {
			low := strings.ToLower(key)
			has := func(w string) bool { return strings.Contains(low, w) }
			if !slices.ContainsFunc(strings.Fields(choice), func(w string) bool { return !has(w) }) &&
				!slices.ContainsFunc(strings.Fields(not), has) {
				if text := demoFigure(o.get(key), demoUnit(o, units, key)); text != "" {
					return text
				}
			}
		}
	}
	return ""
}

func demoFigure(v any, unit string) string {
	switch v := v.(type) {
	case json.Number:
		if unit == "" {
			return v.String()
		}
		return v.String() + " " + unit
	case string:
		if v != "" && strings.ContainsAny(v[:1], "-0123456789") {
			return demoLine(v, 40)
		}
	}
	return ""
}

// demoUnits are the units that a key may end with.
var demoUnits = []struct{ suffix, unit string }{
	{"_kmh", "km/h"},
	{"_kph", "km/h"},
	{"_mph", "mph"},
	{"_ms", "m/s"},
	{"_mm", "mm"},
	{"_inch", "in"},
	{"_percent", "%"},
	{"_pct", "%"},
	{"_celsius", "°C"},
	{"_fahrenheit", "°F"},
	{"_c", "°C"},
	{"_f", "°F"},
}

// demoUnit finds the unit of a key: listed under it, beside it or in it.
func demoUnit(o, units *demoObject, key string) string {
	for _, from := range []*demoObject{units, demoInner(o, "units")} {
		if from == nil {
			continue
		}
		for _, k := range from.keys {
			if text := demoText(from.get(k)); text != "" && (k == key || strings.HasPrefix(key, k)) {
				return demoUnitName(text)
			}
		}
	}
	for _, k := range []string{key + "_unit", key + "_units", key + "Unit"} {
		if text := demoText(o.get(k)); text != "" {
			return demoUnitName(text)
		}
	}
	low := strings.ToLower(demoHump.ReplaceAllString(key, "${1}_$2"))
	for _, u := range demoUnits {
		if strings.HasSuffix(low, u.suffix) {
			return u.unit
		}
	}
	return ""
}

func demoInner(o *demoObject, key string) *demoObject {
	inner, _ := o.get(key).(*demoObject)
	return inner
}

func demoUnitName(text string) string {
	switch strings.ToLower(text) {
	case "celsius", "c":
		return "°C"
	case "fahrenheit", "f":
		return "°F"
	}
	return text
}

// demoSky returns the words for the sky: given so, or as a WMO weather code.
func demoSky(o *demoObject) string {
	for _, key := range []string{"condition", "conditions", "sky", "weather", "summary", "description"} {
		if text, ok := o.get(key).(string); ok && text != "" {
			return demoLine(text, 80)
		}
	}
	for _, key := range []string{"weather_code", "weathercode", "weatherCode"} {
		if n, ok := o.get(key).(json.Number); ok {
			return demoWMO[n.String()]
		}
	}
	return ""
}

// demoWMO names the codes of WMO table 4677 that forecasts use.
var demoWMO = map[string]string{
	"0": "clear sky", "1": "mainly clear", "2": "partly cloudy", "3": "overcast", "45": "fog", "48": "rime fog",
	"51": "light drizzle", "53": "drizzle", "55": "dense drizzle", "56": "freezing drizzle", "57": "dense freezing drizzle",
	"61": "light rain", "63": "rain", "65": "heavy rain", "66": "freezing rain", "67": "heavy freezing rain",
	"71": "light snow", "73": "snow", "75": "heavy snow", "77": "snow grains",
	"80": "light showers", "81": "showers", "82": "violent showers", "85": "light snow showers", "86": "heavy snow showers",
	"95": "thunderstorm", "96": "thunderstorm with hail", "99": "thunderstorm with heavy hail",
}

// demoDayText writes an ISO date as people do; anything else stays.
func demoDayText(text string) string {
	if len(text) < len(time.DateOnly) {
		return text
	}
	day, err := time.Parse(time.DateOnly, text[:len(time.DateOnly)])
	if err != nil {
		return text
	}
	if rest := strings.TrimPrefix(text[len(time.DateOnly):], "T"); len(rest) >= 5 && rest[:5] != "00:00" {
		return day.Format("Monday 2 January, ") + rest[:5]
	}
	return day.Format("Monday 2 January")
}

// sentence says a forecast in words.
func (f demoForecast) sentence() string {
	var facts []string
	add := func(format string, v string) {
		if v != "" {
			facts = append(facts, fmt.Sprintf(format, demoSafe(v)))
		}
	}
	add("%s", f.sky)
	add("now %s", f.now)
	if f.low != "" && f.high != "" {
		facts = append(facts, fmt.Sprintf("%s to %s", demoSafe(f.low), demoSafe(f.high)))
	} else {
		add("at most %s", f.high)
		add("at least %s", f.low)
	}
	add("rain %s", f.rain)
	add("chance of rain %s", f.chance)
	add("wind %s", f.wind)
	add("humidity %s", f.humidity)
	head := "**" + demoSafe(f.place) + "**"
	switch {
	case f.place == "":
		head = "The weather"
	case f.day != "":
		head += ", " + demoSafe(f.day)
	}
	return head + ": " + strings.Join(facts, ", ") + "."
}

// demoForecastTable sets forecasts side by side.
func demoForecastTable(all []demoForecast) string {
	rows := make([][]demoField, len(all))
	for i, f := range all {
		for _, c := range []demoField{
			{"Place", f.place},
			{"Day", f.day},
			{"Sky", f.sky},
			{"Temperature", f.now},
			{"Low", f.low},
			{"High", f.high},
			{"Rain", f.rain},
			{"Chance", f.chance},
			{"Wind", f.wind},
			{"Humidity", f.humidity},
		} {
			if c.value != "" {
				rows[i] = append(rows[i], c)
			}
		}
	}
	return demoTable(rows)
}

// demoRemark draws the one conclusion that a person would: whether to take an
// umbrella, and which place is warmer.
func demoRemark(asked string, all []demoForecast) string {
	var out []string
	var wet []string
	for _, f := range all {
		if demoAmountOf(f.rain) >= 1 || demoAmountOf(f.chance) >= 50 {
			if name := demoSafe(f.place); !slices.Contains(wet, name) && name != "" {
				wet = append(wet, name)
			}
		}
	}
	if len(wet) > 0 {
		out = append(out, "Take an umbrella in "+strings.Join(wet, " and ")+".")
	} else if strings.Contains(strings.ToLower(asked), "umbrella") && demoKnowsRain(all) {
		out = append(out, "No umbrella is needed.")
	}
	if text := demoWarmer(all); text != "" {
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

func demoKnowsRain(all []demoForecast) bool {
	return !slices.ContainsFunc(all, func(f demoForecast) bool { return f.rain+f.chance == "" })
}

// demoWarmer compares two places on one day.
func demoWarmer(all []demoForecast) string {
	if len(all) != 2 || all[0].place == all[1].place || all[0].day != all[1].day {
		return ""
	}
	a, b := all[0], all[1]
	diff := demoAmountOf(a.warmth()) - demoAmountOf(b.warmth())
	if a.warmth() == "" || b.warmth() == "" || diff == 0 {
		return ""
	}
	if diff < 0 {
		a, diff = b, -diff
	}
	degrees := "degrees"
	if diff == 1 {
		degrees = "degree"
	}
	return fmt.Sprintf("%s is warmer by %s %s.", demoSafe(a.place), strconv.FormatFloat(diff, 'f', -1, 64), degrees)
}

func (f demoForecast) warmth() string {
	if f.high != "" {
		return f.high
	}
	return f.now
}

// demoAmountOf returns the number that a figure begins with, rounded to a
// tenth.
func demoAmountOf(figure string) float64 {
	at := demoNumber.FindString(figure)
	n, _ := strconv.ParseFloat(strings.ReplaceAll(at, ",", ""), 64)
	n, _ = strconv.ParseFloat(strconv.FormatFloat(n, 'f', 1, 64), 64)
	return n
}
