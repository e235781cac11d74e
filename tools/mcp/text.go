package mcp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// line returns s in one line of at most n bytes.
func line(s string, n int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(cut(s, 4*n+64), "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if len(s) <= n {
		return s
	}
	return cut(s, n) + "…"
}

// paragraph returns s without control characters but line breaks and tabs, cut
// to at most n bytes.
func paragraph(s string, n int) string {
	whole := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(cut(s, 2*n), "\uFFFD"))
	whole = strings.TrimSpace(whole)
	if len(whole) <= n && len(s) <= 2*n {
		return whole
	}
	return strings.TrimSpace(cut(whole, n)) + "…"
}

// cut returns at most the first n bytes of s, without half a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// digest identifies texts.
func digest(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		h.Write([]byte(t))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func decodeStrict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is more after the JSON object")
	}
	return nil
}
