package llm

import "context"

// A Part is a piece of what a model is shown of a message. Parts are made for
// one request and are never in a log or a store.
type Part struct {
	Kind  PartKind
	Text  string // of a text; else what is said in its place to a model that does not take it
	Media string // type/subtype of Data
	Name  string // of the file
	Data  []byte // shared by all who read it, so never changed
}

// A PartKind is what a part holds.
type PartKind string

// The kinds.
const (
	TextPart  PartKind = "text"
	ImagePart PartKind = "image" // image/png or image/jpeg; image/gif and image/webp where the provider takes them
	AudioPart PartKind = "audio" // audio/wav or audio/mp3
	PDFPart   PartKind = "pdf"   // application/pdf
)

// An Input says what a model takes besides text.
type Input struct {
	Image, Audio, PDF bool
}

// Has reports whether parts of a kind are taken.
func (in Input) Has(k PartKind) bool {
	switch k {
	case ImagePart:
		return in.Image
	case AudioPart:
		return in.Audio
	case PDFPart:
		return in.PDF
	}
	return k == TextPart
}

// Worded returns parts with words in the place of those that are not taken.
func (in Input) Worded(parts []Part) (out []Part) {
	for _, p := range parts {
		if !in.Has(p.Kind) {
			p = Part{Kind: TextPart, Text: p.Text}
		}
		if p.Kind != TextPart || p.Text != "" {
			out = append(out, p)
		}
	}
	return out
}

// A Taker is a [Model] that may take more than text. Takes may ask the
// model's server, and must return within seconds.
type Taker interface {
	Takes(ctx context.Context) Input
}

// InputOf returns what a model takes besides text: nothing, unless it says so.
func InputOf(ctx context.Context, m Model) Input {
	if t, ok := Bare(m).(Taker); ok {
		return t.Takes(ctx)
	}
	return Input{}
}

// An Unseen is a file of a question that the model was not shown, or not
// whole.
type Unseen struct {
	File   string `json:"fileId"`
	Name   string `json:"name"`
	Reason string `json:"reason"` // for people
}
