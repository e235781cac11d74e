package tools

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A shell's variable in a word stands between these two, which no command
// holds: they are taken out of it first.
const (
	varBegin = '\uE000'
	varEnd   = '\uE001'
)

// A shellReader parts one command into words as sh does, but runs and expands
// nothing: a variable stays in its word as a name.
type shellReader struct {
	text  string
	words []string
	word  strings.Builder
	in    bool // a word has begun
	more  bool // something behind the command was left out
}

var inPointed = regexp.MustCompile(`^<[A-Za-z][A-Za-z0-9_.-]*>`)

var errQuote = errors.New("a quote is not closed: was the whole command copied?")

// shellWords returns the words of a command. more says that it goes on, behind
// a pipe, say.
func shellWords(command string) (words []string, more bool, err error) {
	clean := strings.NewReplacer("\r\n", "\n", string(varBegin), "", string(varEnd), "", "\x00", "").Replace(command)
	r := shellReader{text: clean}
	for r.text != "" && err == nil && !r.more {
		err = r.next()
	}
	r.end()
	return r.words, r.more, err
}

func (r *shellReader) end() {
	if r.in {
		r.words = append(r.words, r.word.String())
	}
	r.word.Reset()
	r.in = false
}

func (r *shellReader) put(s string) { r.in = true; r.word.WriteString(s) }

// next reads what the text begins with.
func (r *shellReader) next() error {
	c := r.text[0]
	switch {
	case c == '\n' && len(r.words) == 0 && !r.in, c == ' ', c == '\t':
		r.end()
		r.text = r.text[1:]
	case c == '<' && inPointed.MatchString(r.text): // <id>, as documentation writes it
		end := strings.IndexByte(r.text, '>') + 1
		r.put(r.text[:end])
		r.text = r.text[end:]
	case c == '\n', strings.IndexByte(";|&<>()", c) >= 0, c == '#' && !r.in:
		r.end()
		r.more = c != '#' && strings.TrimSpace(r.text) != ""
		r.text = ""
	case c == '\'':
		return r.single()
	case c == '"':
		return r.double()
	case strings.HasPrefix(r.text, "$'"):
		return r.ansi()
	case c == '$':
		r.variable()
	case continues(r.text):
		r.text = r.text[strings.IndexByte(r.text, '\n')+1:]
	case c == '\\' && len(r.text) > 1:
		_, n := utf8.DecodeRuneInString(r.text[1:])
		r.put(r.text[1 : 1+n])
		r.text = r.text[1+n:]
	default:
		_, n := utf8.DecodeRuneInString(r.text)
		r.put(r.text[:n])
		r.text = r.text[n:]
	}
	return nil
}

// continues reports whether a line goes on in the next: behind \ in sh, ^ in
// Windows's cmd and ` in PowerShell.
func continues(text string) bool {
	rest := strings.TrimLeft(text[1:], " \t")
	return strings.IndexByte("\\^`", text[0]) >= 0 && strings.HasPrefix(rest, "\n")
}

func (r *shellReader) single() error {
	end := strings.IndexByte(r.text[1:], '\'')
	if end < 0 {
		return errQuote
	}
	r.put(r.text[1 : 1+end])
	r.text = r.text[end+2:]
	return nil
}

func (r *shellReader) double() error {
	r.put("")
	r.text = r.text[1:]
	for r.text != "" {
		switch c := r.text[0]; {
		case c == '"':
			r.text = r.text[1:]
			return nil
		case c == '\\' && len(r.text) > 1 && r.text[1] == '\n':
			r.text = r.text[2:]
		case c == '\\' && len(r.text) > 1 && strings.IndexByte("$`\"\\", r.text[1]) >= 0:
			r.put(r.text[1:2])
			r.text = r.text[2:]
		case c == '$':
			r.variable()
		default:
			r.put(r.text[:1])
			r.text = r.text[1:]
		}
	}
	return errQuote
}

// variable reads $NAME or ${NAME}; any other $ is one.
func (r *shellReader) variable() {
	rest, closed := r.text[1:], false
	if inner, ok := strings.CutPrefix(rest, "{"); ok {
		rest, closed = inner, true
	}
	n := 0
	for n < len(rest) && (rest[n] == '_' || isAlnum(rest[n])) {
		n++
	}
	if n == 0 || closed && !strings.HasPrefix(rest[n:], "}") {
		r.put("$")
		r.text = r.text[1:]
		return
	}
	r.put(string(varBegin) + rest[:n] + string(varEnd))
	r.text = rest[n:]
	if closed {
		r.text = r.text[1:]
	}
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// ansi reads $'…', in which \n is the end of a line.
func (r *shellReader) ansi() error {
	r.put("")
	r.text = r.text[2:]
	for r.text != "" {
		switch c := r.text[0]; {
		case c == '\'':
			r.text = r.text[1:]
			return nil
		case c == '\\' && len(r.text) > 1:
			r.escape()
		default:
			r.put(r.text[:1])
			r.text = r.text[1:]
		}
	}
	return errQuote
}

// escape reads what stands behind a backslash in $'…'.
func (r *shellReader) escape() {
	const plain = "abefnrtv"
	if i := strings.IndexByte(plain, r.text[1]); i >= 0 {
		r.put("\a\b\x1b\f\n\r\t\v"[i : i+1])
		r.text = r.text[2:]
		return
	}
	if most := map[byte]int{'x': 2, 'u': 4, 'U': 8}[r.text[1]]; most > 0 {
		if n, v := hexPrefix(r.text[2:], most); n > 0 {
			if most == 2 {
				r.put(string([]byte{byte(v)}))
			} else {
				r.put(string(rune(v)))
			}
			r.text = r.text[2+n:]
			return
		}
	}
	r.put(r.text[1:2])
	r.text = r.text[2:]
}

// hexPrefix reads at most so many hexadecimal digits.
func hexPrefix(s string, most int) (n int, v uint64) {
	for n < min(len(s), most) && strings.IndexByte("0123456789abcdefABCDEF", s[n]) >= 0 {
		n++
	}
	v, _ = strconv.ParseUint(s[:n], 16, 32)
	return n, v
}
