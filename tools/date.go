package tools

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // an image from scratch has no zones
)

// dayOf reads a day as people say it, seen from now in the named time zone.
func dayOf(text, zone string, now time.Time) (string, error) {
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		loc = time.UTC
	}
	now = now.In(loc)
	word := strings.ToLower(strings.TrimSpace(text))
	if ahead, ok := daysAhead(word, now.Weekday()); ok {
		return now.AddDate(0, 0, ahead).Format(time.DateOnly), nil
	}
	day, err := time.Parse(time.DateOnly, word)
	if err != nil {
		return "", fmt.Errorf("%q is no day: use today, tomorrow, a weekday or YYYY-MM-DD", text)
	}
	return day.Format(time.DateOnly), nil
}

func daysAhead(word string, today time.Weekday) (int, bool) {
	switch word {
	case "today", "now":
		return 0, true
	case "tomorrow":
		return 1, true
	case "yesterday":
		return -1, true
	}
	for d := time.Sunday; d <= time.Saturday; d++ {
		name := strings.ToLower(d.String())
		if word == name || word == name[:3] {
			return int(d-today+7) % 7, true
		}
	}
	return 0, false
}
