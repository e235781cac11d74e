// Package price is what models cost: a table with a date, which an operator
// adds to and replaces entries of. Money is whole millionths of a US dollar.
package price

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"parley/llm"
)

// A Table is the prices of models. It is not changed once it is made, so all
// methods may be called concurrently.
type Table struct {
	entries []entry // the longest pattern first
}

var _ llm.Prices = (*Table)(nil)

// An entry is the price of one model, or of all whose names begin alike.
type entry struct {
	provider string // empty for any
	model    string
	any      bool // all names that begin with model
	price    llm.Price
}

// Default returns the table that comes with Parley, of the day [Asof].
func Default() *Table {
	es, err := parseLines(strings.Fields(table))
	if err != nil {
		panic("price: the table: " + err.Error()) // a test reads it
	}
	t := &Table{}
	return t.with(es)
}

// with returns a table in which es come before what t has of the same name.
func (t *Table) with(es []entry) *Table {
	all := slices.Clone(es)
	for _, e := range t.entries {
		if !slices.ContainsFunc(es, func(n entry) bool { return n.provider == e.provider && n.model == e.model && n.any == e.any }) {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(len(b.model), len(a.model)), order(a.any, b.any), -cmp.Compare(a.provider, b.provider))
	})
	return &Table{all}
}

// order puts false before true.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// Price implements [llm.Prices]. Of what fits a model the longest name wins,
// and one with the provider before one without.
func (t *Table) Price(provider, model string) (llm.Price, bool) {
	provider, model = strings.ToLower(provider), strings.ToLower(strings.TrimPrefix(model, "models/"))
	for _, e := range t.entries {
		if e.fits(provider, model) {
			return e.price, true
		}
	}
	return llm.Price{}, false
}

// fits reports whether an entry is about a model: by its name, or that name
// with a version behind it.
func (e entry) fits(provider, model string) bool {
	if e.provider != "" && e.provider != provider && !strings.HasPrefix(provider, e.provider+"-") {
		return false
	}
	rest, ok := strings.CutPrefix(model, e.model)
	return ok && (e.any || rest == "" || isVersion(rest))
}

// isVersion reports whether what stands behind a model's name says which
// edition it is, and not that it is another model: -20250514, -2024-08-06,
// -001, @20250514, -latest. A single digit may be another model.
func isVersion(s string) bool {
	if s == "-latest" {
		return true
	}
	if s[0] != '-' && s[0] != '@' {
		return false
	}
	digits := 0
	for _, r := range s[1:] {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r != '-':
			return false
		}
	}
	return digits >= 3
}

// maxEntries bounds what an operator may add.
const maxEntries = 10_000

// Parse returns t with the entries of a text: model=input/output in dollars
// for a million tokens, or input/cached/output, or
// input/cached/written/output, with commas between the entries. A provider and
// a colon may stand before a model, and a * behind it for all that begin so.
func (t *Table) Parse(text string) (*Table, error) {
	es, err := parseLines(strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' }))
	if err != nil {
		return nil, err
	}
	return t.with(es), nil
}

func parseLines(lines []string) (es []entry, err error) {
	for _, line := range lines {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if len(es) == maxEntries {
			return nil, fmt.Errorf("has more than %d entries", maxEntries)
		}
		at := strings.LastIndexByte(line, '=')
		if at < 0 {
			return nil, fmt.Errorf("has the entry %q, which has no price: write model=input/output, in dollars for a million tokens", line)
		}
		e, err := named(line[:at])
		if err == nil {
			e.price, err = parsePrice(line[at+1:])
		}
		if err != nil {
			return nil, fmt.Errorf("has the entry %q, which %w", line, err)
		}
		es = append(es, e)
	}
	return es, nil
}

// ParseFile returns t with the entries of a YAML or JSON file: a mapping of
// models, named as in [Table.Parse], to a price as it is written there, or to
// a mapping with input, output, cached and written.
func (t *Table) ParseFile(b []byte) (*Table, error) {
	var file map[string]priceNode
	if err := yaml.Unmarshal(b, &file); err != nil {
		return nil, fmt.Errorf("is not a mapping of models to prices: %w", err)
	}
	if len(file) > maxEntries {
		return nil, fmt.Errorf("has more than %d entries", maxEntries)
	}
	var es []entry
	for name, p := range file {
		e, err := named(name)
		if err == nil && p.err != nil {
			err = p.err
		}
		if err != nil {
			return nil, fmt.Errorf("has the entry %q, which %w", name, err)
		}
		e.price = p.price
		es = append(es, e)
	}
	return t.with(es), nil
}

// A priceNode is a price as it stands in a file.
type priceNode struct {
	price llm.Price
	err   error
}

// UnmarshalYAML implements [yaml.Unmarshaler]. Numbers are read as they are
// written: 0.1 is a tenth.
func (p *priceNode) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		p.price, p.err = parsePrice(n.Value)
		return nil
	}
	if n.Kind != yaml.MappingNode {
		p.err = errors.New("is neither a price nor a mapping with input and output")
		return nil
	}
	text := map[string]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		text[n.Content[i].Value] = n.Content[i+1].Value
	}
	p.price, p.err = fromFields(text)
	return nil
}

func fromFields(text map[string]string) (p llm.Price, err error) {
	fields := map[string]*int64{"input": &p.Input, "cached": &p.CachedInput, "written": &p.CacheWritten, "output": &p.Output}
	for name, value := range text {
		to := fields[name]
		if to == nil {
			return p, fmt.Errorf("has %q, which is not input, cached, written or output", name)
		}
		if *to, err = Dollars(value); err != nil {
			return p, err
		}
	}
	for _, name := range []string{"input", "output"} {
		if _, ok := text[name]; !ok {
			return p, fmt.Errorf("has no %s", name)
		}
	}
	_, cached := text["cached"]
	_, written := text["written"]
	return orInput(p, cached, written), nil
}

// orInput fills in what was not said: it costs what input does.
func orInput(p llm.Price, cached, written bool) llm.Price {
	if !cached {
		p.CachedInput = p.Input
	}
	if !written {
		p.CacheWritten = p.Input
	}
	return p
}

// named reads the name of an entry.
func named(text string) (e entry, err error) {
	text = strings.ToLower(strings.TrimSpace(text))
	if provider, model, ok := strings.Cut(text, ":"); ok && isWord(provider) {
		e.provider, text = provider, model
	}
	e.model, e.any = strings.CutSuffix(text, "*")
	if e.model == "" && !e.any || strings.ContainsAny(e.model, "*= \t") || len(e.model) > 200 {
		return e, errors.New("names no model")
	}
	return e, nil
}

// isWord tells a provider from the first half of a model's name such as
// llama3:8b.
func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && r != '-' })
}

func parsePrice(text string) (p llm.Price, err error) {
	var fields [4]int64
	parts := strings.Split(strings.TrimSpace(text), "/")
	if len(parts) < 2 || len(parts) > len(fields) {
		return p, errors.New("is not input/output, input/cached/output or input/cached/written/output, in dollars for a million tokens")
	}
	for i, part := range parts {
		if fields[i], err = Dollars(part); err != nil {
			return p, err
		}
	}
	p.Input, p.Output = fields[0], fields[len(parts)-1]
	if len(parts) > 2 {
		p.CachedInput = fields[1]
	}
	if len(parts) > 3 {
		p.CacheWritten = fields[2]
	}
	return orInput(p, len(parts) > 2, len(parts) > 3), nil
}
