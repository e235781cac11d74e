package gateway_test

import (
	"bytes"
	"image"
	"image/color"
	stdpng "image/png"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
)

// seeing has the world's model take what is given.
func (w *world) seeing(in llm.Input) {
	w.Helper()
	m, err := provider.OpenAI(provider.Options{BaseURL: w.model.URL, Key: modelKey, Model: "scripted", Client: w.model.Client, Input: &in})
	if err != nil {
		w.Fatal(err)
	}
	w.c.Agent = &llm.Agent{Model: m}
}

func drawing(t testing.TB, w, h int) string {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	m.Set(1, 1, color.RGBA{R: 255, A: 255})
	var b bytes.Buffer
	if err := stdpng.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const wav = "RIFF\x04\x00\x00\x00WAVE sound"

// What is uploaded at one replica reaches the model of another, where the
// question says that it is.
func TestTheModelIsShownWhatIsAttached(t *testing.T) {
	inBubble(t, always(llmtest.Text("seen")), func(w *world) {
		w.seeing(llm.Input{Image: true, Audio: true, PDF: true})
		one, two := w.gate(), w.gate()
		a := w.guest(one)
		files := []sent{
			a.upload("big.png", "image/png", drawing(w.T, 3136, 100)), a.upload("a.txt", "text/plain", "short"),
			a.upload("a.wav", "audio/wav", wav), a.upload("a.pdf", "application/pdf", "%PDF-1.7 x"),
		}
		tb := a.at(two).open()
		q := tb.must(object{"type": "send", "msg": object{"clientId": "k", "content": "What is this?", "files": []string{files[0].FileID, files[1].FileID, files[2].FileID, files[3].FileID}}})
		tb.sub(q.C, "")
		s := tb.answered(q.C, q.Run)
		if u := s.Messages[1].Metadata.Parley.Unseen; u != nil {
			t.Errorf("unseen: %+v", u)
		}
		parts := w.model.Requests()[0].Last().Parts
		if len(parts) != 6 {
			t.Fatalf("%d parts: %+v", len(parts), parts)
		}
		for i, begins := range []string{"What is this?\n\n[attached: big.png", "", "[attached: a.txt", "", "[attached: a.pdf", ""} {
			if !strings.HasPrefix(parts[i].Text, begins) || (begins == "") != (len(parts[i].Data) > 0) {
				t.Errorf("part %d is %+v", i, parts[i])
			}
		}
		c, err := stdpng.DecodeConfig(bytes.NewReader(parts[1].Data))
		if err != nil || c.Width != 1568 || c.Height != 50 {
			t.Errorf("the image is %+v, %v", c, err)
		}
		if string(parts[3].Data) != wav || parts[3].Media != "audio/wav" || string(parts[5].Data) != "%PDF-1.7 x" {
			t.Errorf("sound %q, PDF %q", parts[3].Data, parts[5].Data)
		}
		if !strings.Contains(parts[2].Text, "\nshort\n") {
			t.Errorf("the text is %q", parts[2].Text)
		}
	})
}

// What the model does not take both it and the person are told.
func TestWhatTheModelIsNotShownIsSaid(t *testing.T) {
	inBubble(t, always(llmtest.Text("I cannot see")), func(w *world) {
		w.seeing(llm.Input{PDF: true})
		p := w.guest(w.gate())
		var ids []string
		for _, f := range []sent{
			p.upload("a.png", "image/png", drawing(w.T, 8, 8)), p.upload("a.wav", "audio/wav", wav), p.upload("a.pdf", "application/pdf", "no PDF"),
			p.upload("a.zip", "application/zip", "PK\x03\x04"), p.upload("long.txt", "text/plain", strings.Repeat("x", 300<<10)),
		} {
			ids = append(ids, f.FileID)
		}
		tb := p.open()
		q := tb.must(object{"type": "send", "msg": object{"clientId": "k", "content": "What is this?", "files": ids}})
		tb.sub(q.C, "")
		s := tb.answered(q.C, q.Run)
		want := []llm.Unseen{
			{File: ids[0], Name: "a.png", Reason: "this model takes no images"},
			{File: ids[1], Name: "a.wav", Reason: "this model takes no sound"},
			{File: ids[2], Name: "a.pdf", Reason: "it is no PDF"},
			{File: ids[3], Name: "a.zip", Reason: "models are not shown files of this kind"},
			{File: ids[4], Name: "long.txt", Reason: "texts of more than 262 kB are not shown"},
		}
		for what, ms := range map[string][]llm.Message{"the log": s.Messages, "the store": p.history(q.C)} {
			if d := cmp.Diff(want, ms[1].Metadata.Parley.Unseen); d != "" {
				t.Errorf("%s has (-want +got):\n%s", what, d)
			}
		}
		m := w.model.Requests()[0].Last()
		if m.Parts != nil || !strings.Contains(m.Content, "[attached: a.png, image/png") || !strings.Contains(m.Content, "You cannot see it: you take no images.") {
			t.Errorf("the model was told %q", m.Content)
		}
		again := tb.must(object{"type": "send", "c": q.C, "msg": object{"clientId": "l", "content": "And now?"}})
		if s := tb.answered(q.C, again.Run); s.Messages[3].Metadata.Parley.Unseen != nil {
			t.Error("an answer names the files of an earlier question")
		}
	})
}

// A hostile image neither ends the run nor the replica.
func TestAnImageThatIsNoneIsOnlyNamed(t *testing.T) {
	inBubble(t, always(llmtest.Text("fine")), func(w *world) {
		w.seeing(llm.Input{Image: true})
		p := w.guest(w.gate())
		bomb := "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\xc3\x50\x00\x00\xc3\x50\x08\x06\x00\x00\x00\xd2\x3a\xf2\xf4"
		good, bad, broken := p.upload("good.png", "image/png", drawing(w.T, 8, 8)), p.upload("bomb.png", "image/png", bomb), p.upload("broken.png", "image/png", png)
		tb := p.open()
		q := tb.must(object{"type": "send", "msg": object{"clientId": "k", "content": "", "files": []string{bad.FileID, good.FileID, broken.FileID}}})
		tb.sub(q.C, "")
		s := tb.answered(q.C, q.Run)
		if u := s.Messages[1].Metadata.Parley.Unseen; len(u) != 2 || u[0].Name != "bomb.png" || u[1].Reason != "the image is damaged" {
			t.Errorf("unseen: %+v", u)
		}
		if ps := w.model.Requests()[0].Last().Parts; len(ps) != 3 || ps[1].Kind != llm.ImagePart {
			t.Errorf("the model was shown %+v", ps)
		}
	})
}

// Older images give way to newer ones and become notes.
func TestRequestsStaySmall(t *testing.T) {
	inBubble(t, always(llmtest.Text("seen")), func(w *world) {
		w.seeing(llm.Input{Image: true})
		w.c.Run.Shown.Images, w.c.Run.Shown.Questions = 2, 3
		p := w.guest(w.gate())
		tb := p.open()
		c := ""
		for i := range 5 {
			var ids []string
			if i < 3 {
				ids = []string{p.upload("a.png", "image/png", drawing(w.T, 8+i, 8)).FileID}
			}
			q := tb.must(object{"type": "send", "c": c, "msg": object{"clientId": string(rune('a' + i)), "content": "look", "files": ids}})
			if c == "" {
				c = q.C
				tb.sub(c, "")
			}
			tb.answered(c, q.Run)
		}
		var shown []int
		for _, r := range w.model.Requests() {
			n := 0
			for _, m := range r.Messages {
				for _, part := range m.Parts {
					if part.Kind == llm.ImagePart {
						n++
					}
				}
			}
			shown = append(shown, n)
		}
		if d := cmp.Diff([]int{1, 2, 2, 2, 1}, shown); d != "" {
			t.Errorf("images a request (-want +got):\n%s", d)
		}
	})
}

// Whoever takes over shows the model the same.
func TestASuccessorShowsTheSame(t *testing.T) {
	script := func(r llmtest.Request) llmtest.Reply {
		return llmtest.Reply{Pieces: strings.SplitAfter("one two three four five six seven eight", " "), Every: 300 * time.Millisecond}
	}
	inBubble(t, script, func(w *world) {
		w.seeing(llm.Input{Image: true})
		one := w.gate()
		p := w.guest(one)
		f := p.upload("a.png", "image/png", drawing(w.T, 40, 30))
		tb := p.open()
		q := tb.must(object{"type": "send", "msg": object{"clientId": "k", "content": "What?", "files": []string{f.FileID}}})
		time.Sleep(time.Second) // of the bubble: the answer is under way
		two := w.gate()
		one.Replica.Kill()
		tb2 := p.at(two).open()
		tb2.sub(q.C, "")
		tb2.answered(q.C, q.Run)
		rs := w.model.Requests()
		if len(rs) != 2 {
			t.Fatalf("asked %d times", len(rs))
		}
		if d := cmp.Diff(rs[0].Messages, rs[1].Messages); d != "" {
			t.Errorf("the successor asked otherwise:\n%s", d)
		}
	})
}
