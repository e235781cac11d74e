package mcp

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"parley/tools"
	"parley/tools/openapi"
)

const (
	maxToolName    = 128       // bytes of a tool's own name, as the specification has it
	maxDescription = 2000      // bytes of what a model reads of it: a stranger wrote that
	maxSchema      = 16 << 10  // bytes of the parameters that a model reads
	maxRawSchema   = 256 << 10 // of those that a server declares
	maxPages       = 64
	maxLeftOut     = 20
)

// A listed is a tool as its server declares it, made ready for models.
type listed struct {
	remote      string // its own name
	description string
	parameters  json.RawMessage
	checker     *tools.Checker
	effect      tools.Effect // if the server is trusted
	raw         string       // digest of its schema
}

// list asks the server for its tools and keeps them; fresh is how long they
// are to be believed.
func (l *link) list(s *session) (fresh time.Duration, err error) {
	ctx, cancel := context.WithTimeout(l.life, l.o.ListTimeout)
	defer cancel()
	declared, fresh, err := l.fetch(ctx, s)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	had := l.listed
	l.mu.Unlock()
	ts, leftOut := l.prepare(ctx, declared, had)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listed = ts
	l.st.Tools, l.st.LeftOut, l.st.Listed = len(ts), leftOut, time.Now()
	return fresh, ctx.Err()
}

// fetch reads all pages of the list, up to the most tools that are taken.
func (l *link) fetch(ctx context.Context, s *session) (all []*sdk.Tool, fresh time.Duration, err error) {
	fresh = l.o.Refresh
	params := &sdk.ListToolsParams{}
	for range maxPages {
		page, err := s.sdk.ListTools(ctx, params)
		if err != nil {
			return nil, 0, err
		}
		if page.TTLMs > 0 {
			fresh = min(fresh, max(time.Duration(page.TTLMs)*time.Millisecond, l.o.MinRefresh))
		}
		all = append(all, page.Tools...)
		if page.NextCursor == "" || page.NextCursor == params.Cursor || len(all) > l.o.MaxTools {
			return all, fresh, nil
		}
		params = &sdk.ListToolsParams{Cursor: page.NextCursor}
	}
	return all, fresh, nil
}

// prepare makes the declared tools ready, by name. Schemas that have not
// changed are not read again.
func (l *link) prepare(ctx context.Context, declared []*sdk.Tool, had []listed) (ts []listed, leftOut []string) {
	known := map[string]listed{}
	for _, t := range had {
		known[t.raw] = t
	}
	byName := map[string]*sdk.Tool{}
	more := 0
	leave := func(name string, err error) {
		if len(leftOut) < maxLeftOut {
			leftOut = append(leftOut, line(fmt.Sprintf("%s: %v", line(name, 80), err), 300))
		} else {
			more++
		}
	}
	for _, t := range declared {
		if t != nil && byName[t.Name] == nil {
			byName[t.Name] = t
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		if len(ts) >= l.o.MaxTools {
			leave(name, fmt.Errorf("there are more than %d tools", l.o.MaxTools))
			continue
		}
		t, err := l.ready(ctx, byName[name], known)
		if err != nil {
			leave(name, err)
			continue
		}
		ts = append(ts, t)
	}
	if more > 0 {
		leftOut = append(leftOut, fmt.Sprintf("%d more", more))
	}
	return ts, leftOut
}

func (l *link) ready(ctx context.Context, t *sdk.Tool, known map[string]listed) (listed, error) {
	if t.Name == "" || len(t.Name) > maxToolName {
		return listed{}, fmt.Errorf("its name is empty or longer than %d bytes", maxToolName)
	}
	raw, err := json.Marshal(t.InputSchema)
	if err != nil || len(raw) > maxRawSchema {
		return listed{}, fmt.Errorf("its inputSchema is larger than %d bytes", maxRawSchema)
	}
	made := listed{remote: t.Name, description: l.describe(t), effect: effectOf(t.Annotations), raw: digest(string(raw))}
	if was, ok := known[made.raw]; ok {
		made.parameters, made.checker = was.parameters, was.checker
		return made, nil
	}
	if made.parameters, _, err = openapi.Parameters(ctx, raw, maxSchema); err == nil {
		made.checker, err = tools.NewChecker(made.parameters)
	}
	if err != nil {
		return listed{}, fmt.Errorf("its inputSchema cannot be used: %w", err)
	}
	return made, nil
}

func (l *link) describe(t *sdk.Tool) string {
	title := t.Title
	if title == "" && t.Annotations != nil {
		title = t.Annotations.Title
	}
	return l.redactor.Replace(paragraph(cmp.Or(strings.TrimSpace(t.Description), title, t.Name), maxDescription))
}

// effectOf is what a server says that calling a tool does.
func effectOf(a *sdk.ToolAnnotations) tools.Effect {
	switch {
	case a != nil && a.ReadOnlyHint:
		return tools.Safe
	case a != nil && a.IdempotentHint:
		return tools.Idempotent
	}
	return tools.Unsafe
}

// A naming gives tools names that models take, each one of its own.
type naming map[string]bool

var badCharacters = regexp.MustCompile(`[^a-zA-Z0-9_-]+`)

const maxName = 64 // of a tool, for models: see [tools.NamePattern]

// name returns server_tool. What is too long, or taken, gets a mark that
// depends on both names alone.
func (n naming) name(server, remote string) string {
	name := server + "_" + badCharacters.ReplaceAllString(remote, "_")
	if len(name) > maxName || n[name] {
		name = cut(name, maxName-9) + "_" + digest(server, remote)[:8]
	}
	n[name] = true
	return name
}
