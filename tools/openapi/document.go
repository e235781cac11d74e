package openapi

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

type object = map[string]any

// A document is a parsed document while it is imported, by one goroutine.
type document struct {
	ctx      context.Context
	root     object
	swagger  bool // version 2.0
	siblings bool // 3.1 or later: what stands beside a $ref counts
	opts     Options
	warnings notes
	schemes  map[string]scheme
	servers  []server
	patterns map[string]bool // by text: whether Go can compile it
}

func newDocument(ctx context.Context, root object, o Options) (*document, error) {
	d := &document{ctx: ctx, root: root, opts: o, patterns: map[string]bool{}}
	version := textIn(root, "openapi")
	switch v := cmpText(textIn(root, "swagger"), numberText(root["swagger"])); {
	case v != "":
		d.swagger = true
		if v != "2.0" && v != "2" {
			return nil, fault("document", "it is Swagger %s, which cannot be read: versions 2.0 and 3 can", line(v, 20))
		}
	case version == "" && numberText(root["openapi"]) == "" && root["paths"] == nil:
		return nil, fault("document", "it is not an OpenAPI document: it has neither openapi nor swagger")
	case version != "" && !strings.HasPrefix(version, "3."):
		d.warnings.addf("the version %q is not known and is read as 3.1", line(version, 40))
	}
	d.siblings = !d.swagger && !strings.HasPrefix(version, "3.0")
	if err := d.readServers(); err != nil {
		return nil, err
	}
	d.readSchemes()
	return d, nil
}

func cmpText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

var (
	errExternal = errors.New("is outside the document and is not fetched")
	errDangling = errors.New("leads nowhere")
	errCircular = errors.New("leads back to itself")
)

// lookup returns what a reference names.
func (d *document) lookup(ref string) (any, error) {
	fragment, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil, errExternal
	}
	var v any = d.root
	if fragment == "" {
		return v, nil
	}
	path, ok := strings.CutPrefix(fragment, "/")
	if !ok {
		return nil, errDangling // an anchor
	}
	for token := range strings.SplitSeq(path, "/") {
		if plain, err := url.PathUnescape(token); err == nil {
			token = plain
		}
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch at := v.(type) {
		case object:
			next, ok := at[token]
			if !ok {
				return nil, errDangling
			}
			v = next
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(at) {
				return nil, errDangling
			}
			v = at[i]
		default:
			return nil, errDangling
		}
	}
	return v, nil
}

// resolve follows v's references until an object that is none.
func (d *document) resolve(v any) (object, error) {
	for range 32 {
		o, ok := v.(object)
		if !ok {
			return nil, errDangling
		}
		ref, ok := o["$ref"].(string)
		if !ok {
			return o, nil
		}
		next, err := d.lookup(ref)
		if err != nil {
			return nil, err
		}
		v = next
	}
	return nil, errCircular
}

// loose is resolve for where nothing is better than an error.
func (d *document) loose(v any) object {
	o, _ := d.resolve(v)
	return o
}

func textIn(o object, key string) string {
	s, _ := o[key].(string)
	return s
}

func objectIn(o object, key string) object {
	v, _ := o[key].(object)
	return v
}

func listIn(o object, key string) []any {
	v, _ := o[key].([]any)
	return v
}

func truthIn(o object, key string) (value, ok bool) {
	value, ok = o[key].(bool)
	return value, ok
}

func isTrue(o object, key string) bool { return o[key] == true }

func textsIn(o object, key string) (texts []string) {
	for _, v := range listIn(o, key) {
		if s, ok := v.(string); ok && !slices.Contains(texts, s) {
			texts = append(texts, s)
		}
	}
	return texts
}
