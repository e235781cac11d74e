package provider

import (
	"cmp"
	"encoding/json"

	fastjson "github.com/segmentio/encoding/json"

	"parley/llm"
)

// ollama is Ollama's own API
// (https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion).
type ollama struct{}

// Ollama returns a model of an Ollama server, spoken to in its own protocol.
// It asks the server nothing.
func Ollama(opts Options) (*Remote, error) {
	p := place{"ollama", "http://localhost:11434", "", []string{"/chat", "/api", "/v1"}}
	u, err := p.base(opts.BaseURL)
	if err != nil {
		return nil, err
	}
	r, err := newRemote(p, opts, ollama{})
	if err != nil {
		return nil, err
	}
	r.at(u.JoinPath("api", "chat"))
	r.lines = true
	r.header.Set("Accept", "application/x-ndjson")
	if r.key != "" {
		r.header.Set("Authorization", "Bearer "+r.key)
	}
	return r, nil
}

func (ollama) decoder(w *wire) decoder {
	return &ollamaDecoder{wire: w, calls: callList{limit: w.limits.MaxLine}}
}

type ollamaMessage struct {
	Role      string       `json:"role"`
	Content   string       `json:"content"`
	Images    [][]byte     `json:"images,omitempty"`
	ToolCalls []ollamaCall `json:"tool_calls,omitempty"`
	ToolName  string       `json:"tool_name,omitempty"`    // of a result
	CallID    string       `json:"tool_call_id,omitempty"` // of a result
}

type ollamaCall struct {
	ID       string         `json:"id,omitempty"`
	Function ollamaFunction `json:"function"`
}

type ollamaFunction struct {
	Index     *int            `json:"index,omitempty"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

// request leaves tools out where they must not be called: Ollama knows no
// other way.
func (ollama) request(w *wire, req llm.Request) any {
	b := map[string]any{"model": w.model, "messages": ollamaMessages(req), "stream": true}
	if len(req.Tools) > 0 && !req.NoTools {
		b["tools"] = openaiTools(req.Tools)
	}
	if formsAlone(req) {
		b["format"] = ollamaFormat(req.Format)
	}
	options := map[string]any{}
	if req.Temperature != nil {
		options["temperature"] = *req.Temperature
	}
	if n := w.limit(req); n > 0 {
		options["num_predict"] = n
	}
	if len(options) > 0 {
		b["options"] = options
	}
	switch w.opts.Reasoning {
	case "":
	case EffortOff:
		b["think"] = false
	default:
		b["think"] = w.opts.Reasoning
	}
	if w.opts.KeepAlive != "" {
		b["keep_alive"] = w.opts.KeepAlive
	}
	return b
}

func ollamaMessages(req llm.Request) []ollamaMessage {
	system, ms := history(req)
	var out []ollamaMessage
	if system != "" {
		out = append(out, ollamaMessage{Role: "system", Content: system})
	}
	names := map[string]string{}
	for _, m := range ms {
		o := ollamaMessage{Role: string(m.Role), Content: m.Content}
		if len(m.Parts) > 0 {
			o.Content, o.Images = ollamaParts(m)
		}
		for _, c := range m.ToolCalls {
			names[c.ID] = c.Function.Name
			o.ToolCalls = append(o.ToolCalls, ollamaCall{c.ID, ollamaFunction{Name: c.Function.Name, Arguments: objectOf(c.Function)}})
		}
		if m.Role == llm.ToolRole {
			o.Content, o.ToolName, o.CallID = cmp.Or(m.Content, m.Error), names[m.ToolCallID], m.ToolCallID
		}
		if m.Role == llm.Assistant && m.Content == "" && len(m.ToolCalls) == 0 {
			continue
		}
		out = append(out, o)
	}
	return out
}

// An ollamaLine is one line of a stream.
type ollamaLine struct {
	Model      string          `json:"model"`
	Message    ollamaPiece     `json:"message"`
	Done       bool            `json:"done"`
	DoneReason string          `json:"done_reason"`
	Prompt     int             `json:"prompt_eval_count"`
	Eval       int             `json:"eval_count"`
	Error      json.RawMessage `json:"error"`
}

type ollamaPiece struct {
	Content   string           `json:"content"`
	Thinking  string           `json:"thinking"`
	ToolCalls []ollamaCallJSON `json:"tool_calls"`
}

type ollamaCallJSON struct {
	ID       string `json:"id"`
	Function struct {
		Name      string          `json:"name"`
		Arguments openaiArguments `json:"arguments"`
	} `json:"function"`
}

// An ollamaDecoder reads the lines of one answer.
type ollamaDecoder struct {
	*wire
	calls callList
	last  ollamaLine // the one that is done
}

func (d *ollamaDecoder) take(ev event) (llm.Chunk, progress, error) {
	var l ollamaLine
	if err := fastjson.Unmarshal(ev.data, &l); err != nil {
		return llm.Chunk{}, going, chunkError(err)
	}
	if present(l.Error) {
		return llm.Chunk{}, going, d.failure(ev.data, 0)
	}
	for _, c := range l.Message.ToolCalls { // each comes whole
		n := d.calls.len()
		p := callPiece{Index: n, Indexed: true, ID: c.ID, Name: c.Function.Name, Args: string(c.Function.Arguments)}
		if err := d.calls.add(p, n); err != nil {
			return llm.Chunk{}, going, err
		}
	}
	piece := llm.Chunk{Text: l.Message.Content, Reasoning: l.Message.Thinking}
	if !l.Done {
		return piece, going, nil
	}
	l.Message = ollamaPiece{}
	d.last = l
	return piece, over, nil
}

func (d *ollamaDecoder) whole(data []byte) (llm.Chunk, progress, error) {
	return d.take(event{data: data})
}

func (d *ollamaDecoder) end() (answer, error) {
	final := llm.Chunk{Finish: d.reason()}
	if d.last.Prompt+d.last.Eval > 0 {
		final.Usage = &llm.Usage{
			Provider: d.provider, Model: cmp.Or(d.last.Model, d.model),
			Input: d.last.Prompt, Output: d.last.Eval, Total: d.last.Prompt + d.last.Eval,
		}
	}
	return answer{&d.calls, final}, nil
}

func (d *ollamaDecoder) reason() llm.Finish {
	switch {
	case d.last.DoneReason == "length":
		return llm.FinishLength
	case d.calls.len() > 0:
		return llm.FinishTools
	}
	return llm.FinishStop
}
