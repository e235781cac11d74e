package gateway_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/tools/txtar"

	"parley/llm/llmtest"
)

// TestTranscripts plays the conversations in testdata: the protocol, as
// examples that are true. A transcript is a txtar archive whose parts are
// played in order:
//
//	model      what the model answers, each line to one question, a word every 100 ms
//	new $c     a conversation is made, over HTTP
//	client a   frames that tab a sends, one a line; a is at the first replica, b at the second
//	server a   frames that tab a gets next, one a line; beats are left out, and an ev of several items counts as several
//	drain      the first replica sends its clients away
//
// A text that begins with $ in a server's line stands for any value and is
// remembered: from then on it is that value, in clients' lines too. "$_" is
// any value, and an object with a member "..." may have others.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var answers []llmtest.Reply
			for _, part := range a.Files {
				if part.Name == "model" {
					for line := range strings.Lines(string(part.Data)) {
						r := llmtest.Text(strings.TrimSpace(line))
						r.Every = 100 * time.Millisecond
						answers = append(answers, r)
					}
				}
			}
			inBubble(t, llmtest.Sequence(answers...), func(w *world) { play(w, a) })
		})
	}
}

// A player is a transcript on its way.
type player struct {
	*world
	tabs  map[string]*tab
	read  map[string][]any // frames that came and are not yet compared
	seen  map[string]int   // frames taken from the tab
	bound map[string]any
}

func play(w *world, a *txtar.Archive) {
	p := &player{world: w, tabs: map[string]*tab{}, read: map[string][]any{}, seen: map[string]int{}, bound: map[string]any{}}
	first := w.guest(w.gate())
	p.tabs["a"] = first.open()
	p.tabs["b"] = first.at(w.gate()).open()
	p.tabs["a"].loose, p.tabs["b"].loose = true, true
	for _, part := range a.Files {
		who, name, _ := strings.Cut(part.Name, " ")
		switch who {
		case "model":
		case "new":
			p.bound[name] = first.conversation()
		case "drain":
			w.gates[0].SendAway()
		case "client":
			synctest.Wait() // whoever wrote a conversation to its end lets go of it
			for line := range strings.Lines(string(part.Data)) {
				p.tabs[name].post(p.filled(strings.TrimSpace(line)))
			}
		case "server":
			for line := range strings.Lines(string(part.Data)) {
				p.expect(name, strings.TrimSpace(line))
			}
		default:
			w.Fatalf("there is no part %q", part.Name)
		}
	}
}

// filled puts in what placeholders stand for.
func (p *player) filled(line string) string {
	for name, v := range p.bound {
		b, _ := json.Marshal(v)
		line = strings.ReplaceAll(line, `"`+name+`"`, string(b))
	}
	return line
}

func (p *player) expect(name, line string) {
	p.Helper()
	var want any
	if err := json.Unmarshal([]byte(line), &want); err != nil {
		p.Fatalf("%v: %s", err, line)
	}
	object, _ := want.(map[string]any)
	_, answer := object["id"]
	got := p.next(name, line, answer)
	if err := p.match(want, got, ""); err != nil {
		b, _ := json.Marshal(got)
		p.Fatalf("server %s: %v\n got %s\nwant %s", name, err, b, line)
	}
}

// next returns the next frame of a tab that is no beat: the next answer to a
// command, or the next of the others. An answer and the events that follow
// from the command are on their way at the same time.
func (p *player) next(name, want string, answer bool) any {
	for {
		for i, f := range p.read[name] {
			if _, has := f.(map[string]any)["id"]; has == answer {
				p.read[name] = slices.Delete(p.read[name], i, i+1)
				return f
			}
		}
		p.read[name] = append(p.read[name], singles(p.frame(name, want).raw)...)
	}
}

// frame returns the next frame of a tab, which is waited for.
func (p *player) frame(name, want string) (f frame) {
	tb := p.tabs[name]
	tb.wait(want, func() bool {
		ok := len(tb.frames) > p.seen[name]
		if ok {
			f = tb.frames[p.seen[name]]
		}
		return ok
	})
	p.seen[name]++
	return f
}

// singles decodes a frame, an ev of several items as several.
func singles(raw string) (frames []any) {
	var f map[string]any
	_ = json.Unmarshal([]byte(raw), &f)
	if f["type"] == "beat" {
		return nil
	}
	items, _ := f["items"].([]any)
	if len(items) == 0 {
		return []any{f}
	}
	for _, it := range items {
		frames = append(frames, map[string]any{"type": f["type"], "c": f["c"], "items": []any{it}})
	}
	return frames
}

func (p *player) match(want, got any, at string) error {
	switch want := want.(type) {
	case string:
		return p.matchText(want, got, at)
	case map[string]any:
		return p.matchObject(want, got, at)
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Errorf("%s is not a list of %d", at, len(want))
		}
		for i := range want {
			if err := p.match(want[i], list[i], fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
		return nil
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Errorf("%s is %v, want %v", at, got, want)
	}
	return nil
}

func (p *player) matchText(want string, got any, at string) error {
	if want == "$_" {
		return nil
	}
	if strings.HasPrefix(want, "$") {
		v, known := p.bound[want]
		if !known {
			p.bound[want] = got
			return nil
		}
		if !reflect.DeepEqual(v, got) {
			return fmt.Errorf("%s is %v, but %s is %v", at, got, want, v)
		}
		return nil
	}
	if got != want {
		return fmt.Errorf("%s is %v, want %q", at, got, want)
	}
	return nil
}

func (p *player) matchObject(want map[string]any, got any, at string) error {
	object, ok := got.(map[string]any)
	if !ok {
		return fmt.Errorf("%s is no object", at)
	}
	_, open := want["..."]
	for k, w := range want {
		g, ok := object[k]
		if k == "..." {
			continue
		}
		if !ok {
			return fmt.Errorf("%s has no %s", at, k)
		}
		if err := p.match(w, g, at+"."+k); err != nil {
			return err
		}
	}
	for k := range object {
		if _, ok := want[k]; !ok && !open {
			return fmt.Errorf("%s has %s too", at, k)
		}
	}
	return nil
}
