package llmtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"parley/llm"
)

// Scripts returns all cases of a dialect: the common ones and its own.
func Scripts(d Dialect) []Script {
	own := map[Dialect]func() []Script{
		OpenAI: openaiScripts, Anthropic: anthropicScripts, Ollama: ollamaScripts, Gemini: geminiScripts, Responses: responsesScripts,
	}[d]
	return append(Common(d), own()...)
}

// Open opens a model whose server is at a base URL: one that goes on with
// answers that it has begun, where the provider's protocol has a way to. client
// is what reaches it; nil means the provider's own.
type Open func(t testing.TB, url string, client *http.Client) llm.Model

// A Report is what became of each case of a dialect: "ok", "FAILED", or why
// it does not apply.
type Report struct {
	Dialect Dialect
	Cases   map[string]string
}

// Conformance runs all cases of a dialect, each in a subtest, against the
// models that open returns. A provider passes if all pass.
func Conformance(t *testing.T, d Dialect, open Open) Report {
	r := Report{Dialect: d, Cases: map[string]string{}}
	for _, s := range Scripts(d) {
		run := s.run
		if s.Bubble {
			run = s.runInBubble
		}
		r.Cases[s.Name] = "FAILED"
		if t.Run(s.Name, func(t *testing.T) { run(t, d, open) }) {
			r.Cases[s.Name] = "ok"
		}
	}
	for name, why := range Inapplicable(d) {
		r.Cases[name] = why
	}
	return r
}

// Table lists what became of which case at which provider: first the cases
// that all have, then each one's own.
func Table(reports ...Report) string {
	var b strings.Builder
	var notes []string
	fmt.Fprintf(&b, "%-52s", "case")
	for _, r := range reports {
		fmt.Fprintf(&b, " %-16s", r.Dialect)
	}
	for _, name := range commonNames() {
		fmt.Fprintf(&b, "\n%-52s", name)
		for _, r := range reports {
			state := r.Cases[name]
			if state != "ok" && state != "FAILED" {
				why := fmt.Sprintf("%s: %s", r.Dialect, state)
				if !slices.Contains(notes, why) {
					notes = append(notes, why)
				}
				state = fmt.Sprintf("no (%d)", slices.Index(notes, why)+1)
			}
			fmt.Fprintf(&b, " %-16s", state)
		}
	}
	fmt.Fprint(&b, "\n\nDoes not apply:\n")
	for i, why := range notes {
		fmt.Fprintln(&b, i+1, why)
	}
	for _, r := range reports {
		fmt.Fprintf(&b, "\nOnly %s:\n", r.Dialect)
		for _, s := range Scripts(r.Dialect)[len(Common(r.Dialect)):] {
			fmt.Fprintf(&b, "%-8s%s\n", r.Cases[s.Name], s.Name)
		}
	}
	return b.String()
}

func commonNames() (names []string) {
	for _, d := range Dialects() {
		for _, s := range Common(d) {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// runInBubble runs a case whose point is how long nothing comes.
func (s Script) runInBubble(t *testing.T, d Dialect, open Open) {
	synctest.Test(t, func(t *testing.T) {
		client := Pipe(t, s.handler(t, d))
		s.compare(t, s.consume(t, open(t, "http://llmtest"+d.Base(), client)))
		client.CloseIdleConnections()
		synctest.Wait()
	})
}
