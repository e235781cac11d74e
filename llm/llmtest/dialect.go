package llmtest

import (
	"fmt"
	"strings"

	"parley/llm"
)

// A Dialect is a protocol that model servers speak.
type Dialect string

// The dialects.
const (
	OpenAI    Dialect = "openai"           // chat completions
	Responses Dialect = "openai-responses" // OpenAI's Responses API
	Anthropic Dialect = "anthropic"        // the Messages API
	Ollama    Dialect = "ollama"           // /api/chat, in JSON lines
	Gemini    Dialect = "gemini"           // streamGenerateContent
)

// Dialects returns all that are spoken here.
func Dialects() []Dialect { return []Dialect{OpenAI, Responses, Anthropic, Ollama, Gemini} }

// Base returns the path that the dialect's base URLs have.
func (d Dialect) Base() string {
	switch d {
	case Ollama:
		return ""
	case Gemini:
		return "/v1beta"
	}
	return "/v1"
}

// dialectOf tells the dialect by the path of a request, "" for none.
func dialectOf(path string) Dialect {
	switch {
	case strings.HasSuffix(path, "/chat/completions"):
		return OpenAI
	case strings.HasSuffix(path, "/responses"):
		return Responses
	case strings.HasSuffix(path, "/messages"):
		return Anthropic
	case path == "/api/chat":
		return Ollama
	case strings.HasSuffix(path, ":streamGenerateContent"):
		return Gemini
	}
	return ""
}

// at reports whether a request to path is one that the real server answers.
func (d Dialect) at(path string) bool {
	return dialectOf(path) == d && strings.HasPrefix(path, d.Base()+"/")
}

// A voice says the parts of one answer in a dialect: each method returns what
// a server sends next.
type voice interface {
	begin() string
	thought(piece string) string
	text(piece string) string
	call(c Call, pieces []string) string // pieces of its arguments, for dialects that cut them
	end(finish llm.Finish, u llm.Usage) string
	failure(code, message string) string
	ping() string // something that is no part of an answer
}

// A speaker is who answers: what all voices of a server have in common.
type speaker struct {
	n      int // of the request
	model  string
	opaque string // what thoughts are signed with
}

func (d Dialect) voice(s speaker) voice {
	switch d {
	case Responses:
		return &responsesVoice{speaker: s}
	case Anthropic:
		return &anthropicVoice{speaker: s, index: -1}
	case Ollama:
		return &ollamaVoice{speaker: s}
	case Gemini:
		return &geminiVoice{speaker: s}
	}
	return &openaiVoice{speaker: s}
}

// errorJSON is the body of a response that is an error.
func (d Dialect) errorJSON(status int, code, message string) string {
	switch d {
	case Anthropic:
		return encode(object{"type": "error", "error": object{"type": code, "message": message}})
	case Ollama:
		return encode(object{"error": message})
	case Gemini:
		return encode(object{"error": object{"code": status, "message": message, "status": code}})
	}
	return encode(object{"error": object{"message": message, "type": code, "code": code}})
}

// sse is one event, of the default name if name is "".
func sse(name string, v any) string {
	if name == "" {
		return fmt.Sprintf("data: %s\n\n", encode(v))
	}
	return fmt.Sprintf("event: %s\ndata: %s\n\n", name, encode(v))
}
