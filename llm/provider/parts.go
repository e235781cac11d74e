package provider

import (
	"cmp"
	"encoding/base64"
	"strings"

	"parley/llm"
)

// dataURL is a part's bytes as a URL.
func dataURL(p llm.Part) string {
	return "data:" + p.Media + ";base64," + base64.StdEncoding.EncodeToString(p.Data)
}

// openaiContent returns what a person said, as parts if it is more than text
// (https://platform.openai.com/docs/api-reference/chat/create).
func openaiContent(m llm.Message) any {
	if len(m.Parts) == 0 {
		return m.Content
	}
	out := make([]any, len(m.Parts))
	for i, p := range m.Parts {
		switch p.Kind {
		case llm.ImagePart:
			out[i] = map[string]any{"type": "image_url", "image_url": map[string]string{"url": dataURL(p)}}
		case llm.AudioPart:
			out[i] = openaiAudio(p)
		case llm.PDFPart:
			out[i] = map[string]any{"type": "file", "file": map[string]string{"filename": pdfName(p), "file_data": dataURL(p)}}
		default:
			out[i] = map[string]string{"type": "text", "text": p.Text}
		}
	}
	return out
}

func openaiAudio(p llm.Part) any {
	return map[string]any{"type": "input_audio", "input_audio": map[string]any{"data": p.Data, "format": strings.TrimPrefix(p.Media, "audio/")}}
}

func pdfName(p llm.Part) string { return cmp.Or(p.Name, "document.pdf") }

// responsesContent is [openaiContent] for the Responses API
// (https://platform.openai.com/docs/api-reference/responses/create).
func responsesContent(m llm.Message) any {
	if len(m.Parts) == 0 {
		return cmp.Or(m.Content, "(nothing)")
	}
	out := make([]any, len(m.Parts))
	for i, p := range m.Parts {
		switch p.Kind {
		case llm.ImagePart:
			out[i] = map[string]string{"type": "input_image", "image_url": dataURL(p), "detail": "auto"}
		case llm.AudioPart:
			out[i] = openaiAudio(p)
		case llm.PDFPart:
			out[i] = map[string]string{"type": "input_file", "filename": pdfName(p), "file_data": dataURL(p)}
		default:
			out[i] = map[string]string{"type": "input_text", "text": p.Text}
		}
	}
	return out
}

// anthropicBytes are an image or a document
// (https://docs.anthropic.com/en/docs/build-with-claude/vision).
type anthropicBytes struct {
	Type  string `json:"type"` // "base64"
	Media string `json:"media_type"`
	Data  []byte `json:"data"`
}

// anthropicParts leaves out text that is blank, which the API refuses.
func anthropicParts(m llm.Message) (out []any) {
	for _, p := range partsOrText(m) {
		switch p.Kind {
		case llm.ImagePart:
			out = append(out, &anthropicBlock{Type: "image", Source: &anthropicBytes{"base64", p.Media, p.Data}})
		case llm.PDFPart:
			out = append(out, &anthropicBlock{Type: "document", Title: p.Name, Source: &anthropicBytes{"base64", p.Media, p.Data}})
		default:
			if text := strings.TrimSpace(p.Text); text != "" {
				out = append(out, &anthropicBlock{Type: "text", Text: text})
			}
		}
	}
	if len(out) == 0 {
		out = append(out, &anthropicBlock{Type: "text", Text: "(nothing)"})
	}
	return out
}

// geminiBytes are anything but text (https://ai.google.dev/api/caching#Blob).
type geminiBytes struct {
	Media string `json:"mimeType"`
	Data  []byte `json:"data"`
}

func geminiParts(m llm.Message) (out []geminiPart) {
	for _, p := range partsOrText(m) {
		if p.Kind == llm.TextPart {
			text := cmp.Or(p.Text, "(nothing)")
			out = append(out, geminiPart{Text: &text})
			continue
		}
		out = append(out, geminiPart{Inline: &geminiBytes{p.Media, p.Data}})
	}
	return out
}

// ollamaParts parts the images from the text: Ollama's messages have no order
// of both.
func ollamaParts(m llm.Message) (text string, images [][]byte) {
	var texts []string
	for _, p := range m.Parts {
		if p.Kind == llm.ImagePart {
			images = append(images, p.Data)
		} else if p.Text != "" {
			texts = append(texts, p.Text)
		}
	}
	return strings.Join(texts, "\n\n"), images
}

// partsOrText returns the parts of what a person said.
func partsOrText(m llm.Message) []llm.Part {
	if len(m.Parts) > 0 {
		return m.Parts
	}
	return []llm.Part{{Kind: llm.TextPart, Text: m.Content}}
}
