package mcp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"path"
	"reflect"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"parley/tools"
)

const maxBlocks = 1000 // of one result's content

// result is what the model reads of an answer.
func (t *tool) result(ctx context.Context, call tools.Call, res *sdk.CallToolResult) tools.Result {
	r := reader{ctx: ctx, call: call, files: t.link.o.Files, name: t.spec.Name}
	for _, c := range res.Content[:min(len(res.Content), maxBlocks)] {
		r.read(c)
	}
	if n := len(res.Content) - maxBlocks; n > 0 {
		r.say("(%d more blocks were left out)", n)
	}
	r.structured(res.StructuredContent)
	text := strings.TrimSpace(strings.ToValidUTF8(strings.Join(r.texts, "\n\n"), "\uFFFD"))
	out := tools.Result{Outcome: tools.Outcome{Requests: 1, Bytes: r.bytes, Files: r.refs}}
	if res.IsError {
		out.Failed, out.Outcome.Failed = true, true
		out.Outcome.Reason = line(cmp.Or(text, "the tool failed"), 200)
		text = "Error: " + cmp.Or(text, "the tool failed and does not say why")
	}
	out.Content = cmp.Or(text, "(no content)")
	return out
}

// A reader makes text of content.
type reader struct {
	ctx   context.Context
	call  tools.Call
	files tools.Files
	name  string
	texts []string
	bytes int64
	kept  int
	refs  []tools.FileRef
}

func (r *reader) say(format string, args ...any) {
	r.texts = append(r.texts, fmt.Sprintf(format, args...))
}

func (r *reader) read(c sdk.Content) {
	switch c := c.(type) {
	case *sdk.TextContent:
		r.bytes += int64(len(c.Text))
		r.texts = append(r.texts, c.Text)
	case *sdk.ImageContent:
		r.keep("image", "", c.MIMEType, c.Data)
	case *sdk.AudioContent:
		r.keep("audio", "", c.MIMEType, c.Data)
	case *sdk.ResourceLink:
		r.say("[resource %s: %s%s] %s", line(cmp.Or(c.Title, c.Name), 200), line(c.URI, 2000), media(c.MIMEType), line(c.Description, 500))
	case *sdk.EmbeddedResource:
		r.embedded(c.Resource)
	default:
		r.say("[content of a kind that is not known]")
	}
}

func (r *reader) embedded(c *sdk.ResourceContents) {
	switch {
	case c == nil:
	case c.Blob != nil:
		r.keep("resource", c.URI, c.MIMEType, c.Blob)
	default:
		r.bytes += int64(len(c.Text))
		r.say("[resource %s%s]\n%s", line(c.URI, 2000), media(c.MIMEType), c.Text)
	}
}

func media(m string) string {
	if m == "" {
		return ""
	}
	return ", " + line(m, 100)
}

// keep hands binary content to where files are kept, or describes it.
func (r *reader) keep(kind, uri, mediaType string, data []byte) {
	r.bytes += int64(len(data))
	r.kept++
	what := fmt.Sprintf("%s%s%s, %d bytes", kind, prefixed(" ", line(uri, 500)), media(mediaType), len(data))
	if r.files == nil || len(data) == 0 || r.call.Person == "" {
		r.say("[%s, which cannot be shown]", what)
		return
	}
	ref, err := r.files.PutFile(r.ctx, r.call.Person, r.call.Conversation, r.fileName(uri, mediaType), mediaType, bytes.NewReader(data))
	if err != nil {
		r.say("[%s, which could not be kept]", what)
		return
	}
	r.refs = append(r.refs, ref)
	r.say("[%s, kept as file %s, which the user is shown; its content cannot be read here]", what, ref.ID)
}

func (r *reader) fileName(uri, mediaType string) string {
	if base := badCharacters.ReplaceAllString(path.Base(uri), "_"); uri != "" && strings.Trim(base, "_") != "" {
		return cut(base, 100)
	}
	suffix := ""
	if all, err := mime.ExtensionsByType(mediaType); err == nil && len(all) > 0 {
		suffix = all[len(all)-1]
	}
	return fmt.Sprintf("%s-%d%s", r.name, r.kept, suffix)
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// structured adds structured content, unless a text says the same.
func (r *reader) structured(v any) {
	if v == nil {
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		return
	}
	for _, text := range r.texts {
		if sameJSON(text, b) {
			return
		}
	}
	r.bytes += int64(len(b))
	r.texts = append(r.texts, string(b))
}

func sameJSON(text string, b []byte) bool {
	var x, y any
	return json.Unmarshal([]byte(text), &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
