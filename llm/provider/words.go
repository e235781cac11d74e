package provider

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxWords bounds what is kept of a server's words about a failure, in bytes.
const maxWords = 500

// secret matches what looks like a key: those of the known providers, and
// whatever follows "Bearer" or "api_key=".
var secret = regexp.MustCompile(`\b(?:sk|gsk|rk|pk|xai|hf|nvapi|pplx|csk|tgp)[-_][A-Za-z0-9_*.-]{4,}|AIza[A-Za-z0-9_-]{10,}|(?i:bearer\s+|api[-_]?key=)[^\s"',;&]+`)

// redact takes secrets out of words: the key given, and anything like one.
func redact(words, key string) string {
	if len(key) >= 8 { // a shorter one, such as "ollama", is a word and no secret
		words = strings.ReplaceAll(words, key, "[key]")
	}
	return secret.ReplaceAllString(words, "[key]")
}

// short cuts words to a line of at most maxWords bytes.
func short(words string) string {
	words = strings.Join(strings.Fields(strings.ToValidUTF8(words, "")), " ")
	if len(words) <= maxWords {
		return words
	}
	cut := maxWords - len("…")
	for !utf8.RuneStart(words[cut]) {
		cut--
	}
	return words[:cut] + "…"
}

// plainText returns the words of a body that is no JSON.
func plainText(body []byte) string { return strings.TrimSpace(string(body)) }

func isHTML(h http.Header, body []byte) bool {
	return strings.Contains(h.Get("Content-Type"), "html") || bytes.HasPrefix(bytes.TrimSpace(body), []byte("<"))
}

func htmlMessage(status int) string { return fmt.Sprintf("%d with an HTML page", status) }

// retryAfter returns how long a server asks to wait: Retry-After-Ms, or
// Retry-After in seconds or as a date (RFC 9110, section 10.2.3), or until
// the limits that are used up are lifted.
func retryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil {
		return wait(ms / 1000)
	}
	after := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(after, 64); err == nil {
		return wait(s)
	}
	if at, err := http.ParseTime(after); err == nil {
		return wait(time.Until(at).Seconds())
	}
	return untilReset(h)
}

// untilReset returns when the limits that are used up are lifted, as Anthropic
// says in times (https://docs.anthropic.com/en/api/rate-limits) and OpenAI in
// durations.
func untilReset(h http.Header) (longest time.Duration) {
	for _, prefix := range []string{"Anthropic-Ratelimit-", "X-Ratelimit-"} {
		for name := range h {
			what, ok := strings.CutPrefix(name, prefix)
			if !ok || h.Get(name) != "0" {
				continue
			}
			reset := ""
			if kind, ok := strings.CutSuffix(what, "-Remaining"); ok {
				reset = h.Get(prefix + kind + "-Reset")
			} else if kind, ok := strings.CutPrefix(what, "Remaining-"); ok {
				reset = h.Get(prefix + "Reset-" + kind)
			}
			if at, err := time.Parse(time.RFC3339, reset); err == nil {
				longest = max(longest, wait(time.Until(at).Seconds()))
			} else if d, err := time.ParseDuration(reset); err == nil {
				longest = max(longest, wait(d.Seconds()))
			}
		}
	}
	return longest
}

// wait turns seconds into a duration between nothing and a day.
func wait(seconds float64) time.Duration {
	if !(seconds > 0) { // NaN too
		return 0
	}
	return time.Duration(min(seconds, 86400) * float64(time.Second))
}
