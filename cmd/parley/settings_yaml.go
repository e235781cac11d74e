package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

const maxConfig = 1 << 20 // bytes of a YAML file

// fromYAML reads the file that the flag or the environment names. What stands
// in it must be known: a misspelt limit would otherwise be none.
func (l *loader) fromYAML(flags, env map[string]given) map[string]given {
	file, ok := flags["config"]
	if !ok {
		file, ok = env["config"]
	}
	if !ok || file.text == "" {
		return nil
	}
	b, err := readSmall(file.text, maxConfig)
	if err != nil {
		l.fail(file.form, "%q cannot be read: %v", file.text, reason(err))
		return nil
	}
	pairs, err := yamlPairs(b)
	if err != nil {
		l.fail(file.form, "%q is not a YAML file of settings: %v", file.text, err)
		return nil
	}
	return l.yamlGiven(filepath.Base(file.text), pairs)
}

func (l *loader) yamlGiven(file string, pairs []*yaml.Node) map[string]given {
	m := map[string]given{}
	for i := 0; i+1 < len(pairs); i += 2 {
		key, value := pairs[i], pairs[i+1]
		form := fmt.Sprintf("%s (%s, line %d)", key.Value, file, key.Line)
		r := l.row(key.Value)
		_, twice := m[key.Value]
		text, err := yamlText(value)
		switch {
		case r.name == "":
			l.unknownKey(form, key.Value)
		case r.name == "config":
			l.fail(form, "a settings file cannot name another")
		case twice:
			l.fail(form, "stands in the file twice")
		case err != nil:
			l.fail(form, "%v", err)
		case text != "":
			m[key.Value] = given{text, form}
		}
	}
	return m
}

func (l *loader) unknownKey(form, key string) {
	var names []string
	for _, r := range l.rows {
		names = append(names, r.name)
	}
	hint := "`parley serve --help` lists them"
	if n := nearest(strings.ReplaceAll(strings.ToLower(key), "_", "-"), names); n != "" {
		hint = "did you mean " + n + "?"
	}
	l.fail(form, "there is no such setting; %s", hint)
}

// yamlPairs returns the keys and values of a file's one mapping, by turns.
func yamlPairs(b []byte) ([]*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("it holds more than one document")
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, errors.New("it must be lines of the form name: value")
	}
	return root.Content, nil
}

// yamlText is a value as it would be written in the environment: a scalar as
// it stands, a list with commas.
func yamlText(n *yaml.Node) (string, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "", nil
		}
		return n.Value, nil
	case yaml.SequenceNode:
		var vs []string
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return "", errors.New("must be a list of single values")
			}
			vs = append(vs, item.Value)
		}
		return strings.Join(vs, ","), nil
	}
	return "", errors.New("must be a single value or a list of them")
}
