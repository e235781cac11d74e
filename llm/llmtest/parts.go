package llmtest

import (
	"encoding/base64"
	"fmt"
	"strings"

	"parley/llm"
)

// A Part is one part of a message that has images, sound or PDFs, as it came.
type Part struct {
	Kind        llm.PartKind
	Text        string
	Media, Name string
	Data        []byte
}

// only returns parts if there are any but texts.
func only(ps []Part) []Part {
	for _, p := range ps {
		if p.Kind != llm.TextPart {
			return ps
		}
	}
	return nil
}

// readParts reads the content of a message in the words of a dialect. What
// the real API refuses is an error.
func readParts(d Dialect, content any) ([]Part, error) {
	list, _ := content.([]any)
	var out []Part
	for i, v := range list {
		o, _ := v.(object)
		p, err := readPart(d, o)
		if err != nil {
			return nil, fmt.Errorf("content.%d: %w", i, err)
		}
		if p.Kind != "" {
			out = append(out, p)
		}
	}
	return only(out), nil
}

func readPart(d Dialect, o object) (Part, error) {
	if d == Gemini {
		return geminiPart(o)
	}
	kind, _ := o["type"].(string)
	known := map[Dialect]string{
		OpenAI: "text image_url input_audio file", Responses: "input_text output_text input_image input_audio input_file", Anthropic: "text image document",
	}[d]
	switch {
	case d == Anthropic && (kind == "tool_use" || kind == "tool_result" || strings.HasSuffix(kind, "thinking")):
		return Part{}, nil // read elsewhere
	case !strings.Contains(" "+known+" ", " "+kind+" "):
		return Part{}, fmt.Errorf("a part of type %q is not known here", kind)
	}
	switch kind {
	case "image_url":
		return dataPart(llm.ImagePart, inside(o, "image_url", "url"), "")
	case "input_image":
		return dataPart(llm.ImagePart, inside(o, "image_url"), "")
	case "input_audio":
		return basePart(llm.AudioPart, "audio/"+inside(o, "input_audio", "format"), inside(o, "input_audio", "data"), "")
	case "file":
		return dataPart(llm.PDFPart, inside(o, "file", "file_data"), inside(o, "file", "filename"))
	case "input_file":
		return dataPart(llm.PDFPart, inside(o, "file_data"), inside(o, "filename"))
	case "image":
		return basePart(llm.ImagePart, inside(o, "source", "media_type"), inside(o, "source", "data"), "")
	case "document":
		return basePart(llm.PDFPart, inside(o, "source", "media_type"), inside(o, "source", "data"), inside(o, "title"))
	}
	return Part{Kind: llm.TextPart, Text: inside(o, "text")}, nil
}

func geminiPart(o object) (Part, error) {
	if o["inlineData"] == nil {
		if o["text"] == nil {
			return Part{}, nil
		}
		return Part{Kind: llm.TextPart, Text: inside(o, "text")}, nil
	}
	media := inside(o, "inlineData", "mimeType")
	kind := llm.PDFPart
	if k, _, _ := strings.Cut(media, "/"); k == "image" || k == "audio" {
		kind = llm.PartKind(k)
	}
	return basePart(kind, media, inside(o, "inlineData", "data"), "")
}

// inside returns a text that is nested in an object, "" if it is not there.
func inside(v any, path ...string) string {
	for _, name := range path {
		o, _ := v.(object)
		v = o[name]
	}
	s, _ := v.(string)
	return s
}

// dataPart reads a data: URL; no server reaches anything else here.
func dataPart(kind llm.PartKind, url, name string) (Part, error) {
	media, data, ok := strings.Cut(strings.TrimPrefix(url, "data:"), ";base64,")
	if !ok || !strings.HasPrefix(url, "data:") {
		return Part{}, fmt.Errorf("%.40q is no data: URL", url)
	}
	return basePart(kind, media, data, name)
}

func basePart(kind llm.PartKind, media, data, name string) (Part, error) {
	taken := map[llm.PartKind]string{
		llm.ImagePart: "image/png image/jpeg image/gif image/webp", llm.AudioPart: "audio/wav audio/mp3", llm.PDFPart: "application/pdf",
	}[kind]
	if media == "" || !strings.Contains(" "+taken+" ", " "+media+" ") {
		return Part{}, fmt.Errorf("%q is no media type of %s", media, kind)
	}
	b, err := base64.StdEncoding.DecodeString(data)
	if err != nil || len(b) == 0 {
		return Part{}, fmt.Errorf("the data is not base64")
	}
	return Part{Kind: kind, Media: media, Name: name, Data: b}, nil
}
