package openapi

import (
	"cmp"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"parley/tools"
)

// body takes in the operation's request body as one argument.
func (b *builder) body(path, op object) error {
	body, err := b.bodyOf(path, op)
	if err != nil || body == nil {
		return err
	}
	required := isTrue(body, "required")
	content := objectIn(body, "content")
	if b.tool.Method == http.MethodGet || b.tool.Method == http.MethodHead {
		b.notes.addf("its body is left out: %s has none", b.tool.Method)
		return nil
	}
	media, kind := choose(content)
	if media == "" {
		if required {
			return skipped("its body has no media type that can be sent: " + line(strings.Join(slices.Sorted(maps.Keys(content)), ", "), 200))
		}
		return nil
	}
	m := b.loose(content[media])
	schema := m["schema"]
	b.tool.BodyType = bodyType(media, kind)
	switch kind {
	case "form", "multipart":
		b.parts(m, kind)
		b.shape.form = true
	case "text", "raw":
		schema = b.textSchema(schema, media)
	}
	arg := "body"
	if b.taken[arg] {
		arg = "request_body"
	}
	arg = unused(arg, b.taken)
	b.tool.In[arg] = "body"
	b.shape.properties = append(b.shape.properties, property{name: arg, description: textIn(body, "description"), schema: schema, required: required})
	return nil
}

func (b *builder) bodyOf(path, op object) (object, error) {
	if b.swagger {
		return b.swaggerBody(path, op), nil
	}
	if op["requestBody"] == nil {
		return nil, nil
	}
	body, err := b.resolve(op["requestBody"])
	if err != nil {
		return nil, skipped(fmt.Sprintf("its body %s", err))
	}
	return body, nil
}

// choose returns the media type that a tool sends: JSON before forms, before
// text, before others that are text.
func choose(content object) (media, kind string) {
	best := 0
	for _, m := range slices.Sorted(maps.Keys(content)) {
		if k, worth := kindOf(m); worth > best {
			media, kind, best = m, k, worth
		}
	}
	return media, kind
}

func kindOf(declared string) (kind string, worth int) {
	media, _, err := mime.ParseMediaType(declared)
	switch {
	case err != nil:
		return "", 0
	case media == "application/json", media == "*/*", media == "application/*":
		return "json", 10
	case strings.HasSuffix(media, "+json"), media == "text/json":
		return "json", 9
	case media == "application/x-www-form-urlencoded":
		return "form", 8
	case media == "multipart/form-data":
		return "multipart", 7
	case media == "text/plain", media == "text/*":
		return "text", 6
	case strings.Contains(media, "*"), strings.HasPrefix(media, "multipart/"):
		return "", 0
	case strings.HasPrefix(media, "text/"):
		return "raw", 5
	case strings.HasSuffix(media, "xml"), strings.HasSuffix(media, "yaml"), strings.Contains(media, "ndjson"), strings.Contains(media, "jsonl"):
		return "raw", 4
	case binary.MatchString(media):
		return "", 0
	}
	return "raw", 1
}

// binary are media types that a model cannot write.
var binary = regexp.MustCompile(`^(image|audio|video|font|model)/|[/.+-](zip|gzip|x-gzip|tar|x-tar|pdf|cbor|protobuf|x-protobuf|msgpack|x-msgpack|avro|parquet|wasm|grpc|pkcs[0-9]+)$`)

// bodyType is what [tools.Request] calls a media type.
func bodyType(media, kind string) string {
	switch {
	case kind == "raw":
		return media
	case kind != "json", media == "application/json", strings.Contains(media, "*"):
		return kind
	}
	return media
}

// textSchema is the schema of a body that is sent as text.
func (b *builder) textSchema(schema any, media string) any {
	if s := b.loose(schema); textIn(s, "type") == "string" {
		if isBinary(s) {
			b.notes.addf("the body is binary data, %s; a model can only send text", line(media, 80))
		}
		return schema
	}
	text := "The body as text, " + line(media, 80) + "."
	if strings.HasSuffix(media, "xml") {
		b.notes.addf("the body is %s: the model has to write it itself", line(media, 80))
	}
	return object{"type": "string", "description": text}
}

// parts says how the members of a form are written.
func (b *builder) parts(m object, kind string) {
	encodings := objectIn(m, "encoding")
	members := map[string]any{}
	b.members(m["schema"], members, 8)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		style, ok := b.part(members[name], b.loose(encodings[name]), kind)
		if !ok {
			continue
		}
		if b.tool.Parts == nil {
			b.tool.Parts = map[string]tools.Style{}
		}
		b.tool.Parts[name] = style
	}
}

// members collects the properties of an object and of what it is made of.
func (b *builder) members(v any, into map[string]any, depth int) {
	s := b.loose(v)
	if s == nil || depth == 0 {
		return
	}
	maps.Copy(into, objectIn(s, "properties"))
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		for _, v := range listIn(s, key)[:min(len(listIn(s, key)), maxParameters)] {
			b.members(v, into, depth-1)
		}
	}
}

// part returns the style of one member; false if it has none of its own.
func (b *builder) part(schema any, encoding object, kind string) (style tools.Style, ok bool) {
	content, _, _ := strings.Cut(textIn(encoding, "contentType"), ",")
	if content = strings.TrimSpace(content); strings.Contains(content, "*") || len(content) > 200 {
		content = ""
	}
	s := b.loose(schema)
	if items := b.loose(s["items"]); textIn(s, "type") == "array" && items != nil {
		s = items
	}
	declared, explicit := textIn(encoding, "style"), encoding["style"] != nil || encoding["explode"] != nil || encoding["allowReserved"] != nil
	if explicit && kind == "form" && slices.Contains(stylesIn("form"), cmp.Or(declared, "form")) {
		style = tools.Style{Style: cmp.Or(declared, "form"), Explode: cmp.Or(declared, "form") == "form", AllowReserved: isTrue(encoding, "allowReserved")}
		if explode, ok := truthIn(encoding, "explode"); ok {
			style.Explode = explode
		}
		return style, true
	}
	switch {
	case kind == "multipart" && content != "":
		return tools.Style{Content: content}, true
	case kind == "multipart" && isBinary(s):
		b.notes.add("a file is sent as the text that the model writes")
		return tools.Style{Content: "application/octet-stream"}, true
	case kind == "form" && (textIn(s, "type") == "object" || s["properties"] != nil) && textIn(b.loose(schema), "type") != "array":
		return tools.Style{Content: cmp.Or(content, "application/json")}, true
	}
	return style, false
}

func isBinary(s object) bool {
	media := textIn(s, "contentMediaType")
	return textIn(s, "format") == "binary" || media != "" && textIn(s, "contentEncoding") == "" && !strings.HasPrefix(media, "text/")
}
