package provider

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tmc/langchaingo/llms"

	"parley/llm"
)

// maxPart bounds the bytes of one picture, sound or PDF of langchaingo's.
const maxPart = 20 << 20

// langchainPart makes a part of bytes or of a data: URL. What it is the bytes
// decide.
func langchainPart(role llm.Role, p llms.ContentPart) (part llm.Part, err error) {
	if role != llm.User {
		return part, fmt.Errorf("pictures and files are only a person's, not the %s's", role)
	}
	switch p := p.(type) {
	case llms.BinaryContent:
		part.Data = p.Data
	case llms.ImageURLContent:
		if part.Data, err = dataOfURL(p.URL); err != nil {
			return part, err
		}
	}
	if len(part.Data) > maxPart {
		return part, fmt.Errorf("a picture or file has at most %d bytes", maxPart)
	}
	switch looks := http.DetectContentType(part.Data); looks {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		part.Kind, part.Media = llm.ImagePart, looks
	case "application/pdf":
		part.Kind, part.Media = llm.PDFPart, looks
	default:
		if part.Kind, part.Media = llm.AudioPart, llm.SniffAudio(part.Data); part.Media == "" {
			return part, errors.New("pictures and files must be PNG, JPEG, GIF, WebP, WAV, MP3 or PDF")
		}
	}
	return part, nil
}

func dataOfURL(url string) ([]byte, error) {
	rest, ok := strings.CutPrefix(url, "data:")
	if !ok {
		return nil, errors.New("pictures are not fetched from addresses; send the bytes, or a data: URL")
	}
	_, data, ok := strings.Cut(rest, ";base64,")
	if !ok || len(data) > base64.StdEncoding.EncodedLen(maxPart) {
		return nil, errors.New("the data: URL must be in base64 and not too long")
	}
	b, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return nil, errors.New("the data: URL is not base64")
	}
	return b, nil
}

// taken returns an error if the model does not take a part of the messages.
func (l *langchain) taken(ctx context.Context, ms []llm.Message) error {
	for _, m := range ms {
		for _, p := range m.Parts {
			if p.Kind != llm.TextPart && !llm.InputOf(ctx, l.model).Has(p.Kind) {
				return fmt.Errorf("the model %s takes no part of kind %s", l.model.Name(), p.Kind)
			}
		}
	}
	return nil
}
