package run

import (
	"context"
	"errors"
	"strings"

	"parley/llm"
	"parley/llm/picture"
	"parley/tools"
)

// kindOf returns what a file of a media type is shown as: TextPart for
// whatever is no image, sound or PDF that models take.
func kindOf(media string) llm.PartKind {
	switch media {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return llm.ImagePart
	case "application/pdf":
		return llm.PDFPart
	}
	if strings.HasPrefix(media, "audio/") {
		return llm.AudioPart
	}
	return llm.TextPart
}

// bring returns a file as a part, or why it cannot be shown.
func (s *showing) bring(ctx context.Context, f tools.FileRef, kind llm.PartKind) (p llm.Part, no string) {
	p = llm.Part{Kind: kind, Name: f.Name}
	switch {
	case s.r.o.Files == nil:
		return p, "it cannot be read"
	case kind == llm.ImagePart && s.images <= 0:
		return p, "there are too many images"
	case kind != llm.ImagePart && f.Size > s.media:
		return p, "together with the others it is too large"
	}
	read := func() ([]byte, error) { return s.r.o.Files.Read(ctx, f.ID, f.Size) }
	if kind == llm.ImagePart {
		no = s.picture(ctx, &p, read)
	} else {
		no = asIs(&p, read)
	}
	if no == "" && int64(len(p.Data)) > s.media {
		no = "together with the others it is too large"
	}
	if no != "" {
		return p, no
	}
	s.media -= int64(len(p.Data))
	if kind == llm.ImagePart {
		s.images--
	}
	return p, ""
}

func (s *showing) picture(ctx context.Context, p *llm.Part, read func() ([]byte, error)) (no string) {
	pic, err := s.r.pictures.Prepare(ctx, read)
	switch {
	case errors.Is(err, picture.ErrTooLarge):
		return "the image has too many pixels"
	case errors.Is(err, picture.ErrNoImage):
		return "it is no image that can be shown"
	case errors.Is(err, picture.ErrBroken):
		return "the image is damaged"
	case err != nil:
		return "it cannot be read"
	}
	p.Media, p.Data = pic.Media, pic.Data
	return ""
}

// asIs brings what goes to the model as it is, if it is what it is said to
// be.
func asIs(p *llm.Part, read func() ([]byte, error)) (no string) {
	b, err := read()
	if err != nil {
		return "it cannot be read"
	}
	p.Data, p.Media = b, "application/pdf"
	if p.Kind == llm.AudioPart {
		if p.Media = llm.SniffAudio(b); p.Media == "" {
			return "models are only shown sound that is WAV or MP3"
		}
	} else if !llm.SniffPDF(b) {
		return "it is no PDF"
	}
	return ""
}
