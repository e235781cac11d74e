package openapi

import (
	"maps"
	"slices"

	"parley/tools"
)

// swaggerSchema returns the schema that a parameter of 2.0, which is one
// itself, declares.
func swaggerSchema(p object) object {
	s := maps.Clone(p)
	for _, key := range []string{"name", "in", "required", "description", "collectionFormat", "allowEmptyValue", "schema"} {
		delete(s, key)
	}
	return s
}

// collection returns the style that 2.0 calls a collectionFormat.
func (b *builder) collection(p object, in string) (style tools.Style, plain bool) {
	if textIn(p, "type") != "array" {
		return tools.Style{Style: styleIn(in)}, in != "cookie"
	}
	style.Style = styleIn(in)
	format := textIn(p, "collectionFormat")
	if in != "query" && in != "formData" {
		if format != "" && format != "csv" {
			b.notes.addf("the parameter %s: the collectionFormat %q is not one for a %s; csv is used", line(textIn(p, "name"), 80), line(format, 40), in)
		}
		return style, false
	}
	switch format {
	case "multi":
		style.Explode = true
	case "ssv":
		style.Style = "spaceDelimited"
	case "tsv":
		style.Style = "tabDelimited"
	case "pipes":
		style.Style = "pipeDelimited"
	}
	return style, false
}

// swaggerBody returns the body that an operation of 2.0 declares by parameters
// as 3.0 would declare it.
func (b *builder) swaggerBody(path, op object) object {
	consumes := textsIn(op, "consumes")
	if len(consumes) == 0 {
		consumes = textsIn(b.root, "consumes")
	}
	form := object{"type": "object"}
	properties, encoding := object{}, object{}
	var required []any
	file := false
	for _, v := range slices.Concat(listIn(path, "parameters"), listIn(op, "parameters")) {
		p := b.loose(v)
		name := textIn(p, "name")
		switch textIn(p, "in") {
		case "body":
			return b.wholeBody(p, consumes)
		case "formData":
			properties[name] = b.formMember(p, encoding)
			file = file || textIn(p, "type") == "file"
			if isTrue(p, "required") {
				required = append(required, name)
			}
		}
	}
	if len(properties) == 0 {
		return nil
	}
	form["properties"], form["required"] = properties, required
	media := "application/x-www-form-urlencoded"
	for _, c := range consumes {
		if c == "multipart/form-data" {
			media = c
		}
	}
	if file {
		media = "multipart/form-data"
	}
	body := object{"content": object{media: object{"schema": form, "encoding": encoding}}}
	if len(required) > 0 {
		body["required"] = true
	}
	return body
}

func (b *builder) wholeBody(p object, consumes []string) object {
	content := object{}
	for _, media := range consumes {
		content[media] = object{"schema": p["schema"]}
	}
	if len(content) == 0 {
		content["application/json"] = object{"schema": p["schema"]}
	}
	return object{"content": content, "required": p["required"], "description": p["description"]}
}

func (b *builder) formMember(p, encoding object) object {
	s := swaggerSchema(p)
	if text := textIn(p, "description"); text != "" {
		s["description"] = text
	}
	if textIn(p, "type") == "file" {
		s["type"], s["format"] = "string", "binary"
	}
	if style, plain := b.collection(p, "formData"); !plain {
		encoding[textIn(p, "name")] = object{"style": style.Style, "explode": style.Explode}
	}
	return s
}
