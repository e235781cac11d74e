package tools

import (
	"testing"
	"time"
)

func TestDayOf(t *testing.T) {
	now := time.Date(2026, time.May, 6, 18, 30, 0, 0, time.UTC) // a Wednesday
	tests := map[string]struct{ text, zone, want string }{
		"today":                          {"today", "UTC", "2026-05-06"},
		"today where it is tomorrow":     {"today", "Pacific/Auckland", "2026-05-07"},
		"tomorrow":                       {" Tomorrow ", "Europe/Berlin", "2026-05-07"},
		"yesterday":                      {"yesterday", "UTC", "2026-05-05"},
		"a weekday to come":              {"monday", "UTC", "2026-05-11"},
		"a weekday that is today":        {"Wednesday", "UTC", "2026-05-06"},
		"a weekday, short":               {"sat", "UTC", "2026-05-09"},
		"a weekday in another zone":      {"thursday", "Pacific/Auckland", "2026-05-07"},
		"a date":                         {"2026-12-24", "UTC", "2026-12-24"},
		"an unknown zone means UTC":      {"today", "Mars/Olympus", "2026-05-06"},
		"a path as zone means UTC":       {"today", "../../etc/passwd", "2026-05-06"},
		"a date that is none":            {"2026-02-30", "UTC", ""},
		"a date in another order":        {"24.12.2026", "UTC", ""},
		"nothing":                        {"", "UTC", ""},
		"the server's own zone is no go": {"today", "Local", "2026-05-06"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := dayOf(test.text, test.zone, now)
			if got != test.want || (err != nil) != (test.want == "") {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}
