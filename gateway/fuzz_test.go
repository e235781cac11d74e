package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"parley/gateway"
	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/llm"
)

// FuzzCommand sends any text frame through a real connection: it must be
// answered once, and the connection must live on.
func FuzzCommand(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `{"type":"ping","id":"1"}`, `{"type":"hello"}`, `{"type":"sub","c":"c1","after":"1-1"}`,
		`{"type":"unsub","c":"c1"}`, `{"type":"send","msg":{"clientId":"k","content":"x"}}`, `{"type":"send","c":"c1","msg":null}`,
		`{"type":"cancel","c":"c1","run":"r1"}`, `{"type":"regenerate","c":"c1","messageId":"m","clientId":"k"}`,
		`{"type":"edit","c":"c1","messageId":"m","clientId":"k","content":"x"}`,
		`{"type":"history","c":"c1","limit":-1}`, `{"TYPE":"ping"}`, "{\"type\":\"ping\",\"id\":\"\xff\"}", `{"id":"` + strings.Repeat("é", 40) + `"}`,
		`{"type":"history","limit":1e99}`, strings.Repeat("[", 10001), `{"type":"ping","id":"\ud800"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if len(raw) > 60000 {
			return
		}
		inBubble(t, nil, func(w *world) {
			tb := w.guest(w.gate()).open()
			if err := tb.ws.Write(w.Context(), websocket.MessageText, []byte(raw)); err != nil {
				t.Fatal(err)
			}
			tb.must(object{"type": "ping"})
			tb.mu.Lock()
			defer tb.mu.Unlock()
			n := 0
			for _, fr := range tb.frames[:len(tb.frames)-1] {
				switch fr.Type {
				case "ok", "err", "pong", "welcome":
					n++
				}
				if !utf8.ValidString(fr.raw) {
					t.Errorf("%q got invalid UTF-8: %q", raw, fr.raw)
				}
			}
			if n != 1 {
				t.Errorf("%q got %d answers: %v", raw, n, tb.lastFrames(5))
			}
		})
	})
}

// FuzzBinary sends any binary frame, while an upload is under way: the
// connection must live on, and only what belongs to the upload reach it.
func FuzzBinary(f *testing.F) {
	for _, seed := range []string{"", "\x00", "\x00\x00\x00\x01", "\x00\x00\x00\x01abc", "\x00\x00\x00\x02abc", "\xff\xff\xff\xffabc", "\x00\x00\x00\x01" + strings.Repeat("x", 100)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 60000 {
			return
		}
		inBubble(t, nil, func(w *world) {
			tb := w.guest(w.gate()).open()
			up := tb.must(object{"type": "upload.begin", "name": "x", "size": 50})
			if err := tb.ws.Write(w.Context(), websocket.MessageBinary, raw); err != nil {
				t.Fatal(err)
			}
			tb.must(object{"type": "ping"})
			mine := len(raw) > 4 && string(raw[:4]) == "\x00\x00\x00\x01"
			if end := tb.ask(object{"type": "upload.end", "ref": up.Ref}); (end.FileID != "") != (mine && len(raw) == 54) {
				t.Errorf("%q ended as %s", raw, end.raw)
			}
		})
	})
}

func FuzzCookie(f *testing.F) {
	i := &gateway.Identity{CookieKey: []byte(gatewaytest.CookieKey)}
	good := i.Sign("gabc")
	for _, seed := range []string{"", ".", good, good + ".", "gabc", "gabc.", "gabc.x", "a.b.c", strings.Repeat("g", 100) + ".x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cookie string) {
		id, ok := i.Verify(cookie)
		if ok && (i.Sign(id) != cookie || !chat.ValidID(id)) {
			t.Errorf("%q is taken for %q", cookie, id)
		}
		other := &gateway.Identity{CookieKey: []byte("another key")}
		if _, ok := other.Verify(i.Sign(id)); ok {
			t.Errorf("the signature of %q holds under another key", id)
		}
	})
}

// FuzzMerge makes a log out of the bytes, two for each entry, and compares
// what it adds up to with and without merging.
func FuzzMerge(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 1, 1, 1, 2, 1, 3, 2, 0})
	f.Add([]byte{0, 0, 1, 1, 5, 1, 1, 2, 0, 1, 1, 17, 1, 1, 2, 0, 3, 0, 4, 4})
	f.Add([]byte{0, 0, 1, 9, 6, 0, 1, 9, 0, 16, 3, 0, 1, 8, 1, 8, 4, 0})
	f.Fuzz(func(t *testing.T, program []byte) {
		entries, encoded := logOf(program)
		var plain, slow chat.State
		for _, e := range entries {
			plain.Apply(e)
		}
		var at chat.Position
		for _, e := range gateway.Merged(encoded) {
			entry, err := chat.DecodeEntry(e.Raw)
			if err != nil || entry.At != e.At || !at.Before(e.At) {
				t.Fatalf("after %v came %v, which holds %v: %v", at, e.At, entry.At, err)
			}
			at = e.At
			slow.Apply(entry)
		}
		if len(encoded) > 0 && at != encoded[len(encoded)-1].At {
			t.Errorf("merging ends at %v, the log at %v", at, encoded[len(encoded)-1].At)
		}
		a, _ := json.Marshal(plain)
		b, _ := json.Marshal(slow)
		if d := cmp.Diff(string(a), string(b)); d != "" {
			t.Errorf("merged entries add up to something else:\n%s", d)
		}
	})
}

func logOf(program []byte) (entries []chat.Entry, encoded []chat.Encoded) {
	for i := 0; i+1 < len(program) && i < 2000; i += 2 {
		id := fmt.Sprintf("m%d", program[i+1]%8)
		ev := chat.Event{MessageID: id, Delta: strings.Repeat(string(rune('a'+program[i+1]%26)), int(program[i+1]))}
		switch program[i] % 8 {
		case 0:
			ev = chat.Event{Type: chat.TextStart, MessageID: id, Role: llm.Assistant}
		case 1:
			ev.Type = chat.TextContent
		case 2:
			ev = chat.Event{Type: chat.TextEnd, MessageID: id}
		case 3:
			ev = chat.Event{Type: chat.ReasoningStart, MessageID: id, Role: llm.Reasoning}
		case 4:
			ev = chat.Event{Type: chat.RunFinished, RunID: "r1", Outcome: &chat.Outcome{Type: "success"}}
		case 5:
			ev.Type = chat.ReasoningContent
		case 6:
			ev = chat.Event{Type: chat.RunTakenOver, RunID: "r1", Try: 2}
		case 7:
			ev = chat.Event{Type: chat.GenerationBegan, Kind: "doubt"}
		}
		e := chat.Entry{At: chat.Position{Generation: 1, N: uint64(len(entries))}, Run: "r1", Try: 1, TS: int64(i), Ev: ev}
		raw, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		entries, encoded = append(entries, e), append(encoded, chat.Encoded{At: e.At, Raw: raw})
	}
	return entries, encoded
}
