package tools

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
)

// An answer is what came of one HTTP request.
type answer struct {
	status int
	media  string // type/subtype, "" if the server named none
	retry  string // Retry-After
	body   []byte // unpacked, at most the bound
	wire   int64  // bytes of the body as read
	cut    bool
	named  string // the name that the server gives the body as a file, "" if none
}

// readAnswer reads the body up to limit bytes. It unpacks gzip, which was not
// asked for, under the same limit.
func readAnswer(resp *http.Response, limit int) (answer, error) {
	a := answer{status: resp.StatusCode, retry: resp.Header.Get("Retry-After")}
	declared := resp.Header.Get("Content-Type")
	a.media, _, _ = mime.ParseMediaType(declared)
	if _, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition")); err == nil {
		a.named = params["filename"]
	}
	counter := &countingReader{r: resp.Body}
	var body io.Reader = counter
	switch encoding := strings.ToLower(resp.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		unpacked, err := gzip.NewReader(counter)
		if err != nil && !errors.Is(err, io.EOF) {
			return a, fmt.Errorf("the answer says that it is gzip but is not: %w", err)
		}
		if err == nil {
			body = unpacked
		}
	default:
		a.media = encoding // binary for us
	}
	read, err := io.ReadAll(io.LimitReader(body, int64(limit)+1))
	a.wire = counter.n
	if a.cut = len(read) > limit; a.cut {
		read = read[:limit]
	}
	a.body = a.decoded(read, declared)
	return a, err
}

// decoded returns the body in UTF-8 if it is text.
func (a *answer) decoded(body []byte, declared string) []byte {
	if !strings.HasPrefix(a.media, "text/") && !strings.HasSuffix(a.media, "xml") {
		return body
	}
	e, name, certain := charset.DetermineEncoding(body, declared)
	if name == "utf-8" || !certain && utf8.Valid(body) {
		return body
	}
	if plain, err := e.NewDecoder().Bytes(body); err == nil {
		return plain
	}
	return body
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (a *answer) ok() bool    { return a.status/100 == 2 }
func (a *answer) empty() bool { return len(bytes.TrimSpace(a.body)) == 0 }

// json returns the body if it is one whole JSON value, whatever the server
// calls it.
func (a *answer) json() (json.RawMessage, bool) {
	body := bytes.TrimSpace(bytes.TrimPrefix(a.body, []byte("\uFEFF")))
	return body, !a.cut && json.Valid(body)
}

func (a *answer) saysJSON() bool {
	return a.media == "application/json" || a.media == "text/json" || strings.HasSuffix(a.media, "+json")
}

func (a *answer) isHTML() bool { return a.media == "text/html" || a.media == "application/xhtml+xml" }

// isText reports whether the body can be read as text, going by what the
// server calls it and by what it is where that says nothing.
func (a *answer) isText() bool {
	switch {
	case a.saysJSON(), strings.HasPrefix(a.media, "text/"), strings.HasSuffix(a.media, "xml"), strings.HasSuffix(a.media, "yaml"):
	case a.media == "application/x-ndjson", a.media == "application/javascript", a.media == "application/x-www-form-urlencoded", a.media == "application/toml":
	case a.media == "", a.media == "application/octet-stream":
		return utf8.Valid(trimPartial(a.body)) && !bytes.ContainsRune(a.body, 0)
	default:
		return false
	}
	return !bytes.ContainsRune(a.body, 0)
}

// trimPartial takes off half a character at the end, which cutting leaves.
func trimPartial(b []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}

// render returns the body as a model reads it, with a note where it is not
// what it should be. It is false if there is nothing to read in it.
func (a *answer) render(ctx context.Context) (text string, readable bool) {
	if a.empty() {
		return "(no content)", true
	}
	if doc, ok := a.json(); ok && (a.saysJSON() || bytes.ContainsAny(doc[:1], "{[")) {
		var b bytes.Buffer
		if json.Compact(&b, doc) == nil {
			return strings.ToValidUTF8(b.String(), "\uFFFD"), true
		}
	}
	switch {
	case !a.isText():
		return fmt.Sprintf("(The request was answered with status %d, but the answer is %s, %d bytes, and cannot be read as text.)",
			a.status, oneLine(cmp.Or(a.media, "binary data"), 100), len(a.body)), false
	case a.isHTML():
		text = "(The answer is a web page; this is its text.)\n\n" + markdown(ctx, a.body)
	case a.saysJSON() && !a.cut:
		text = "(The answer says that it is JSON but is not valid; this is its text.)\n" + string(a.body)
	default:
		text = string(a.body)
	}
	if a.cut {
		text = string(trimPartial([]byte(text)))
	}
	return strings.ToValidUTF8(text, "\uFFFD"), true
}

// cutNote says that a content is not whole.
func cutNote(limit int) string {
	return fmt.Sprintf("\n(The answer was cut: these are its first %d bytes. Ask for less, if the tool can.)", limit)
}

// message returns what an error answer says, in one short line: the usual
// members of JSON errors (RFC 9457 among them), a page's text, or the text.
func (a *answer) message() string {
	if doc, ok := a.json(); ok {
		if m := jsonMessage(doc); m != "" {
			return oneLine(m+jsonFaults(doc), 600)
		}
	}
	switch {
	case a.empty(), !a.isText():
		return ""
	case a.isHTML():
		return oneLine(htmlText(a.body), 200)
	}
	return oneLine(string(a.body), 300)
}

func jsonMessage(doc json.RawMessage) string {
	title := jsonText(doc, "/title")
	for _, at := range []string{
		"/error/message", "/message", "/reason", "/detail", "/error_description", "/error",
		"/errors/0/message", "/errors/0/detail", "/errors/0", "/detail/0/msg", "/msg",
	} {
		if m := jsonText(doc, at); m != "" && title != "" && m != title {
			return title + ": " + m
		} else if m != "" {
			return m
		}
	}
	return title
}

// jsonFaults returns what an error says of single fields: "errors" as RFC 9457
// and JSON:API have them, or as an object by field, and the "detail" of
// FastAPI.
func jsonFaults(doc json.RawMessage) string {
	var list []struct {
		Field, Param, Name, Pointer, Detail, Message, Msg, Reason string
		Loc                                                       []any
		Source                                                    struct{ Pointer, Parameter string }
	}
	var out []string
	for _, at := range []pointer{{"errors"}, {"invalid-params"}, {"detail"}} {
		raw, ok := at.find(doc)
		var byField map[string]any
		if ok && json.Unmarshal(raw, &byField) == nil {
			for _, name := range slices.Sorted(maps.Keys(byField)) {
				out = append(out, name+": "+strings.Trim(string(compactJSON(byField[name])), `"[]`))
			}
		}
		if !ok || json.Unmarshal(raw, &list) != nil {
			continue
		}
		for _, e := range list {
			where := cmp.Or(e.Field, e.Param, e.Name, e.Pointer, e.Source.Pointer, e.Source.Parameter, strings.Trim(strings.ReplaceAll(fmt.Sprint(e.Loc), " ", "."), "[]"))
			what := cmp.Or(e.Detail, e.Message, e.Msg, e.Reason)
			if where != "" && what != "" {
				out = append(out, where+": "+what)
			}
		}
	}
	if len(out) == 0 {
		return ""
	}
	return " (" + strings.Join(out[:min(len(out), 5)], "; ") + ")"
}

// jsonText returns the text that the pointer at finds, "" if it is none.
func jsonText(doc json.RawMessage, at string) string {
	p, _ := parsePointer(at)
	raw, _ := p.find(doc)
	text, _ := jsonString(raw)
	return text
}

func jsonString(raw json.RawMessage) (s string, ok bool) {
	err := json.Unmarshal(raw, &s)
	return s, err == nil && !bytes.Equal(raw, []byte("null"))
}
