package httpcache

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// longest is more than any lifetime that is believed.
const longest = 365 * 24 * time.Hour

// directives are the members of Cache-Control by their names in small letters.
type directives map[string]string

// cacheControl reads all Cache-Control fields of h. A directive that is there
// twice has the smaller value, as whoever contradicts itself is not believed.
func cacheControl(h http.Header) directives {
	ds := directives{}
	for _, field := range h["Cache-Control"] {
		for field != "" {
			var name, value string
			name, value, field = nextDirective(field)
			if name == "" {
				continue
			}
			if had, twice := ds[name]; twice && seconds(had) < seconds(value) {
				continue
			}
			ds[name] = value
		}
	}
	return ds
}

// nextDirective takes the first directive off a field. Its value may be a
// token or a quoted string, in which a comma is no end.
func nextDirective(field string) (name, value, rest string) {
	end := strings.IndexAny(field, "=,")
	if end < 0 || field[end] == ',' {
		name, rest, _ = strings.Cut(field, ",")
		return word(name), "", rest
	}
	name, rest = word(field[:end]), strings.TrimLeft(field[end+1:], " \t")
	if !strings.HasPrefix(rest, `"`) {
		value, rest, _ = strings.Cut(rest, ",")
		return name, strings.TrimSpace(value), rest
	}
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			if i++; i < len(rest) {
				b.WriteByte(rest[i])
			}
		case '"':
			_, rest, _ = strings.Cut(rest[i:], ",")
			return name, b.String(), rest
		default:
			b.WriteByte(rest[i])
		}
	}
	return name, b.String(), "" // never closed
}

func word(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

func (ds directives) has(name string) bool { _, ok := ds[name]; return ok }

// seconds reads a number of seconds (RFC 9111 1.2.2). What is none is 0: an
// answer whose freshness is not understood is stale.
func seconds(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 64)
	switch {
	case err == nil && n < uint64(longest/time.Second):
		return time.Duration(n) * time.Second
	case err != nil && (s == "" || strings.Trim(s, "0123456789") != ""):
		return 0
	}
	return longest
}
