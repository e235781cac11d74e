// Package agents is who answers: named configurations of an agent, each with
// its versions, of which conversations choose one. What a configuration does
// not say is what the server's settings say.
package agents

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"parley/tools"
)

// Default is the name of the agent that is always there. It answers where
// none is chosen, and what nobody has configured of it is what the settings
// say.
const Default = "default"

// An Agent is a configuration. A field that is not set is what the server's
// settings say.
type Agent struct {
	Name         string   `json:"name"` // see [ValidName]
	Title        string   `json:"title,omitempty"`
	Description  string   `json:"description,omitempty"`
	Questions    []string `json:"questions,omitempty"` // to begin with
	Instructions string   `json:"instructions,omitempty"`
	Models       []string `json:"models,omitempty"` // of those that are configured, the first choice first; see [llm.Chain.Refs]
	Tools        []string `json:"tools,omitzero"`   // names, beginnings such as "shop_*", and tags such as "tag:shop"; nil: all; none of them: none
	Temperature  *float64 `json:"temperature,omitempty"`
	MaxTokens    int      `json:"maxTokens,omitempty"` // of a model's turn
	MaxTurns     int      `json:"maxTurns,omitempty"`  // of a model, a run
	MaxCalls     int      `json:"maxCalls,omitempty"`  // of tools, a turn
}

// A Version is an agent as somebody has stored it. It never changes.
type Version struct {
	Agent
	Version int       `json:"version"` // from 1
	At      time.Time `json:"at,omitzero"`
	By      string    `json:"by,omitempty"` // who stored it
}

// Bounds of what an agent may say.
const (
	MaxBody         = 128 << 10 // of an agent as JSON
	maxInstructions = 32 << 10
	maxTitle        = 100
	maxDescription  = 500
	maxQuestions    = 6
	maxQuestion     = 200
	maxModels       = 8
	maxTools        = 500
	maxPattern      = 128
	maxTurns        = 100
	maxCalls        = 64
	maxTokens       = 1_000_000
)

var validName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// ValidName reports whether an agent can have that name.
func ValidName(name string) bool { return validName.MatchString(name) }

// Decode reads an agent and validates it. What is wrong with it is a
// [*tools.FieldError].
func Decode(b []byte) (a Agent, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return Agent{}, decodeFault(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Agent{}, fault("", "there is more behind the agent's JSON")
	}
	return a, a.validate()
}

func decodeFault(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fault(wrong.Field, "this cannot be a %s", wrong.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fault(strings.Trim(name, `"`), "an agent has no such field")
	}
	return fault("", "this is no agent as JSON: %v", err)
}

func fault(field, format string, args ...any) error {
	return &tools.FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

func (a Agent) validate() error {
	if !ValidName(a.Name) {
		return fault("name", "a name is 1 to 64 of a-z, 0-9 and -")
	}
	for _, t := range []struct {
		field, text string
		most        int // characters
	}{{"title", a.Title, maxTitle}, {"description", a.Description, maxDescription}} {
		if utf8.RuneCountInString(t.text) > t.most {
			return fault(t.field, "at most %d characters", t.most)
		}
	}
	if len(a.Instructions) > maxInstructions {
		return fault("instructions", "%d bytes; at most %d are allowed", len(a.Instructions), maxInstructions)
	}
	if err := a.validateLists(); err != nil {
		return err
	}
	return a.validateNumbers()
}

func (a Agent) validateLists() error {
	if len(a.Questions) > maxQuestions {
		return fault("questions", "at most %d", maxQuestions)
	}
	for i, q := range a.Questions {
		if strings.TrimSpace(q) == "" || utf8.RuneCountInString(q) > maxQuestion {
			return fault(fmt.Sprintf("questions.%d", i), "a question has 1 to %d characters", maxQuestion)
		}
	}
	if len(a.Models) > maxModels {
		return fault("models", "at most %d", maxModels)
	}
	for i, m := range a.Models {
		if slices.Contains(a.Models[:i], m) {
			return fault(fmt.Sprintf("models.%d", i), "%q is named twice", m)
		}
	}
	if len(a.Tools) > maxTools {
		return fault("tools", "at most %d; name them by a beginning (shop_*) or a tag (tag:shop)", maxTools)
	}
	for i, t := range a.Tools {
		if strings.TrimSuffix(strings.TrimPrefix(t, tagged), "*") == "" || len(t) > maxPattern {
			return fault(fmt.Sprintf("tools.%d", i), "a tool is a name, a beginning such as shop_*, or a tag such as tag:shop, of at most %d bytes", maxPattern)
		}
	}
	return nil
}

func (a Agent) validateNumbers() error {
	if t := a.Temperature; t != nil && (*t < 0 || *t > 2) {
		return fault("temperature", "a temperature is from 0 to 2")
	}
	for _, n := range []struct {
		field    string
		is, most int
	}{{"maxTokens", a.MaxTokens, maxTokens}, {"maxTurns", a.MaxTurns, maxTurns}, {"maxCalls", a.MaxCalls, maxCalls}} {
		if n.is < 0 || n.is > n.most {
			return fault(n.field, "from 1 to %d; leave it out for what the server's settings say", n.most)
		}
	}
	return nil
}

const tagged = "tag:"

// uses reports whether an agent may use a tool.
func (a Agent) uses(s tools.Spec) bool {
	return slices.ContainsFunc(a.Tools, func(t string) bool {
		if tag, ok := strings.CutPrefix(t, tagged); ok {
			return slices.Contains(s.Tags, tag)
		}
		if begin, ok := strings.CutSuffix(t, "*"); ok {
			return strings.HasPrefix(s.Name, begin)
		}
		return s.Name == t
	})
}
