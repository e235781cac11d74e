package tools

import (
	"bytes"
	"cmp"
	"fmt"
	"mime"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"strings"
)

// A bodyKind is how a body is encoded.
type bodyKind string

// The kinds of bodies; these and media types are what a bodyType can be.
const (
	jsonBody      bodyKind = "json"
	formBody      bodyKind = "form"
	textBody      bodyKind = "text"
	multipartBody bodyKind = "multipart"
)

// kindOfBody returns how a body of that type is encoded and its Content-Type.
// A media type that is none of the others is sent as the text that it is.
func kindOfBody(bodyType string) (kind bodyKind, contentType string, err error) {
	switch kind := bodyKind(cmp.Or(bodyType, "json")); kind {
	case jsonBody:
		return kind, "application/json", nil
	case formBody:
		return kind, "application/x-www-form-urlencoded", nil
	case textBody:
		return kind, "text/plain; charset=utf-8", nil
	case multipartBody:
		return kind, "multipart/form-data", nil
	}
	media, _, err := mime.ParseMediaType(bodyType)
	if err != nil || !strings.Contains(media, "/") || strings.Contains(media, "*") || !goodHeaderValue(bodyType) {
		return "", "", fmt.Errorf("must be json, form, text, multipart or a media type")
	}
	switch {
	case isJSONMedia(media):
		return jsonBody, bodyType, nil
	case media == "application/x-www-form-urlencoded":
		return formBody, bodyType, nil
	case strings.HasPrefix(media, "multipart/"):
		return multipartBody, media, nil
	}
	return textBody, bodyType, nil
}

func isJSONMedia(media string) bool {
	return media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
}

// encode returns the body's bytes and their Content-Type.
func (q *request) encode(body any) ([]byte, string, error) {
	kind, contentType, err := kindOfBody(q.bodyType)
	if err != nil {
		return nil, "", err
	}
	object, isObject := body.(map[string]any)
	switch {
	case kind == textBody:
		return []byte(textOf(body)), contentType, nil
	case kind == formBody && !isObject, kind == multipartBody && !isObject:
		return nil, "", fmt.Errorf("the body must be an object to be sent as a form")
	case kind == formBody:
		form, err := q.form(object)
		return []byte(form), contentType, err
	case kind == multipartBody:
		return q.multipart(object, contentType)
	}
	return compactJSON(body), contentType, nil
}

// form writes members in the way of forms, those with a style in theirs.
func (q *request) form(object map[string]any) (string, error) {
	plain := url.Values{}
	var pairs []string
	for _, name := range presentKeys(object) {
		style, ok := q.parts[name]
		if !ok {
			addField(plain, name, object[name])
			continue
		}
		taken := func(k string) bool { _, ok := object[k]; return ok }
		more, err := styled{name, name, style}.query(object[name], taken)
		if err != nil {
			return "", err
		}
		pairs = append(pairs, more...)
	}
	return joinQuery(plain, pairs), nil
}

// joinQuery returns the query of plain values and of pairs already escaped.
func joinQuery(plain url.Values, pairs []string) string {
	if len(plain) > 0 {
		pairs = append([]string{plain.Encode()}, pairs...)
	}
	return strings.Join(pairs, "&")
}

// multipart writes each member as a part, each element of a list as a part of
// its own.
func (q *request) multipart(object map[string]any, contentType string) ([]byte, string, error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, name := range presentKeys(object) {
		elements, isList := object[name].([]any)
		if !isList || isJSONMedia(q.parts[name].Content) {
			elements = []any{object[name]}
		}
		for _, e := range elements {
			if err := writePart(w, name, e, q.parts[name]); err != nil {
				return nil, "", err
			}
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return b.Bytes(), mime.FormatMediaType(contentType, map[string]string{"boundary": w.Boundary()}), nil
}

func writePart(w *multipart.Writer, name string, v any, style Style) error {
	media, _, _ := strings.Cut(style.Content, ",") // OpenAPI lets an encoding name several
	media = strings.TrimSpace(media)
	_, isText := v.(string)
	_, isObject := v.(map[string]any)
	_, isList := v.([]any)
	if media == "" && (isObject || isList) {
		media = "application/json"
	}
	h := textproto.MIMEHeader{}
	disposition := map[string]string{"name": name}
	if plain := media == "" || isJSONMedia(media) || strings.HasPrefix(media, "text/plain"); !plain && isText {
		disposition["filename"] = name
	}
	value := mime.FormatMediaType("form-data", disposition)
	if value == "" {
		return fmt.Errorf("the part %q cannot be named in a form", oneLine(name, 80))
	}
	h.Set("Content-Disposition", value)
	if media != "" {
		h.Set("Content-Type", media)
	}
	part, err := w.CreatePart(h)
	if err == nil {
		if isJSONMedia(media) {
			_, err = part.Write(compactJSON(v))
		} else {
			_, err = part.Write([]byte(textOf(v)))
		}
	}
	return err
}
