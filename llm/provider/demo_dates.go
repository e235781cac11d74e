package provider

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A demoDate is a day that a text names.
type demoDate struct {
	demoSpan
	day  time.Time
	word string // tomorrow, friday …; empty for a date in figures
}

const demoMonths = `(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)`

var (
	demoISODate   = regexp.MustCompile(`\b(\d{4})-(\d{1,2})-(\d{1,2})`)
	demoDotDate   = regexp.MustCompile(`\b(\d{1,2})\.(\d{1,2})\.(\d{4})\b`)
	demoSlashDate = regexp.MustCompile(`\b(\d{1,2})/(\d{1,2})/(\d{4})\b`)
	demoDayMonth  = regexp.MustCompile(`(?i)\b(\d{1,2})(?:st|nd|rd|th)?(?: of)? ` + demoMonths + `\b\.?(?:,? (\d{4})\b)?`)
	demoMonthDay  = regexp.MustCompile(`(?i)\b` + demoMonths + `\.? (\d{1,2})(?:st|nd|rd|th)?\b(?:,? (\d{4})\b)?`)
	demoDayWord   = regexp.MustCompile(`(?i)\b(?:the )?(day after tomorrow|today|tonight|tomorrow|yesterday|(?:this )?weekend|next week|` +
		`(?:on |this |next )?(?:mon|tues|wednes|thurs|fri|satur|sun)day|in (?:\d{1,3}|a|one|two|three|four|five|six|seven|ten) (?:days?|weeks?))\b`)
	demoWeekday   = regexp.MustCompile(`(?:mon|tues|wednes|thurs|fri|satur|sun)day`)
	demoClockTime = regexp.MustCompile(`(?i)\b(?:at )?(?:(\d{1,2})(?:[:.](\d{2}))? ?([ap])\.?m\b|(\d{1,2}):(\d{2})\b|(noon|midnight)\b|(\d{1,2}) o'clock\b)`)
)

// demoDates finds the days that a text names, in order.
func demoDates(text string, now time.Time) []demoDate {
	f := demoDateFinder{text: text, today: time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())}
	f.figures(demoISODate, 1, 2, 3)
	f.figures(demoDotDate, 3, 2, 1)
	f.slashes()
	f.figures(demoDayMonth, 3, 2, 1)
	f.figures(demoMonthDay, 3, 1, 2)
	for _, m := range demoDayWord.FindAllStringSubmatchIndex(text, -1) {
		word := strings.ToLower(text[m[2]:m[3]])
		f.add(m[0], m[1], f.relative(word), strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(word, "on "), "this "), "next "))
	}
	slices.SortFunc(f.found, func(a, b demoDate) int { return a.start - b.start })
	return f.found
}

type demoDateFinder struct {
	text  string
	today time.Time
	found []demoDate
}

// add keeps a day, unless it lies within one that was found before.
func (f *demoDateFinder) add(start, end int, day time.Time, word string) {
	span := demoSpan{f.text[start:end], start, end}
	for _, d := range f.found {
		if d.overlaps(span) {
			return
		}
	}
	if !day.IsZero() {
		f.found = append(f.found, demoDate{span, day, word})
	}
}

// figures finds dates whose year, month and day are these groups.
func (f *demoDateFinder) figures(re *regexp.Regexp, year, month, day int) {
	for _, m := range re.FindAllStringSubmatchIndex(f.text, -1) {
		group := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return f.text[m[2*i]:m[2*i+1]]
		}
		f.add(m[0], m[1], f.date(group(year), group(month), group(day)), "")
	}
}

// slashes reads 25/12/2026 and 12/25/2026, but not what may be either.
func (f *demoDateFinder) slashes() {
	for _, m := range demoSlashDate.FindAllStringSubmatchIndex(f.text, -1) {
		a, b, year := f.text[m[2]:m[3]], f.text[m[4]:m[5]], f.text[m[6]:m[7]]
		first, _ := strconv.Atoi(a)
		second, _ := strconv.Atoi(b)
		switch {
		case first > 12 || first == second:
			f.add(m[0], m[1], f.date(year, b, a), "")
		case second > 12:
			f.add(m[0], m[1], f.date(year, a, b), "")
		}
	}
}

// date returns the zero time for what is no date. Without a year it is the
// next such day.
func (f *demoDateFinder) date(year, month, day string) time.Time {
	d, _ := strconv.Atoi(day)
	m, err := strconv.Atoi(month)
	if err != nil {
		m = demoMonth(month)
	}
	y, err := strconv.Atoi(year)
	if err != nil {
		y = f.today.Year()
	}
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, f.today.Location())
	if err != nil && t.Before(f.today) {
		t = t.AddDate(1, 0, 0)
	}
	if int(t.Month()) != m || t.Day() != d {
		return time.Time{}
	}
	return t
}

func demoMonth(name string) int {
	for m := time.January; m <= time.December; m++ {
		if strings.HasPrefix(strings.ToLower(name), strings.ToLower(m.String()[:3])) {
			return int(m)
		}
	}
	return 0
}

// relative returns the day that a word means, counted from today.
func (f *demoDateFinder) relative(word string) time.Time {
	switch word {
	case "today", "tonight":
		return f.today
	case "tomorrow":
		return f.today.AddDate(0, 0, 1)
	case "day after tomorrow":
		return f.today.AddDate(0, 0, 2)
	case "yesterday":
		return f.today.AddDate(0, 0, -1)
	case "weekend", "this weekend":
		return f.coming(time.Saturday)
	case "next week":
		return f.coming(time.Monday)
	}
	if rest, ok := strings.CutPrefix(word, "in "); ok {
		return f.later(strings.Fields(rest))
	}
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.HasSuffix(word, strings.ToLower(d.String())) {
			return f.coming(d)
		}
	}
	return time.Time{}
}

// coming returns the next such weekday after today.
func (f *demoDateFinder) coming(d time.Weekday) time.Time {
	ahead := (int(d)-int(f.today.Weekday())+6)%7 + 1
	return f.today.AddDate(0, 0, ahead)
}

// later reads "3 days", "two weeks".
func (f *demoDateFinder) later(words []string) time.Time {
	n, err := strconv.Atoi(words[0])
	if err != nil {
		n = max(int(demoNumberWords[words[0]]), 1)
	}
	if strings.HasPrefix(words[1], "week") {
		n *= 7
	}
	return f.today.AddDate(0, 0, n)
}

// demoTime returns the time of day that a text names, as hours and minutes.
func demoTime(text string) (demoSpan, string, bool) {
	for _, m := range demoClockTime.FindAllStringSubmatchIndex(text, -1) {
		group := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return strings.ToLower(text[m[2*i]:m[2*i+1]])
		}
		hour, _ := strconv.Atoi(group(1) + group(4) + group(7))
		minute, _ := strconv.Atoi(group(2) + group(5))
		switch {
		case group(6) == "noon", group(3) == "p" && hour < 12:
			hour = hour%12 + 12
		case group(3) == "a" && hour == 12:
			hour = 0
		}
		if group(6) == "noon" {
			hour = 12
		}
		if hour < 24 && minute < 60 {
			return demoSpan{text[m[0]:m[1]], m[0], m[1]}, fmt.Sprintf("%02d:%02d", hour, minute), true
		}
	}
	return demoSpan{}, "", false
}

// demoSayDate returns a day as a parameter wants it: in words if its
// description names such words, else as an ISO date.
func demoSayDate(p *demoParam, d demoDate, clock string) string {
	if p.format == "date-time" {
		hours, _ := time.Parse("15:04", clock)
		return d.day.Add(time.Duration(hours.Hour())*time.Hour + time.Duration(hours.Minute())*time.Minute).Format(time.RFC3339)
	}
	word := d.word
	if word == "tonight" && !strings.Contains(p.about, word) {
		word = "today"
	}
	if p.format == "" && word != "" && demoTakesWord(p, word) {
		return word
	}
	return d.day.Format(time.DateOnly)
}

func demoTakesWord(p *demoParam, word string) bool {
	if strings.Contains(p.about, word) {
		return true
	}
	return strings.HasSuffix(word, "day") && word != "today" && word != "yesterday" &&
		(strings.Contains(p.about, "weekday") || demoWeekday.MatchString(p.about))
}
