package llm

import (
	"bytes"
	"slices"
)

// SniffAudio returns audio/wav or audio/mp3 if b begins as one of these,
// whatever it is called, else "".
func SniffAudio(b []byte) string {
	switch {
	case len(b) > 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WAVE":
		return "audio/wav"
	case bytes.HasPrefix(b, []byte("ID3")),
		len(b) > 4 && b[0] == 0xff && slices.Contains([]byte{0xfb, 0xfa, 0xf3, 0xf2}, b[1]): // MPEG 1 or 2, layer III
		return "audio/mp3"
	}
	return ""
}

// SniffPDF reports whether b begins as a PDF.
func SniffPDF(b []byte) bool { return bytes.HasPrefix(b, []byte("%PDF-")) }
