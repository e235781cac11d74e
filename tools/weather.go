package tools

import (
	_ "embed"
	"fmt"
	"net/url"
	"strings"
)

//go:embed weather.json
var weatherJSON []byte

// Weather returns the built-in tool weather(place, day): Open-Meteo's
// geocoding, then its forecast. It is declared as data, as any registered
// endpoint is. The two base addresses replace Open-Meteo's; empty keeps them.
// The free service is for non-commercial use, and its data want the
// attribution that the result carries.
//
// Weather panics if a base address is no http or https URL.
func Weather(geocodingURL, forecastURL string) Endpoint {
	e, err := DecodeEndpoint(weatherJSON)
	if err != nil {
		panic(fmt.Sprintf("tools: weather.json: %v", err)) // tested
	}
	for i, base := range []string{geocodingURL, forecastURL} {
		if base != "" {
			e.Steps[i].URL = rebase(e.Steps[i].URL, base)
		}
	}
	if err := e.Validate(); err != nil {
		panic(fmt.Sprintf("tools: Weather: %v", err))
	}
	return e
}

// rebase returns u behind the base address.
func rebase(u, base string) string {
	from, err1 := url.Parse(u)
	to, err2 := url.Parse(base)
	if err1 != nil || err2 != nil {
		return base
	}
	return to.Scheme + "://" + to.Host + strings.TrimSuffix(to.Path, "/") + from.Path
}
