package gateway_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/gateway"
	"parley/llm"
	"parley/llm/llmtest"
	"parley/tools"
)

// A sent is what an upload is answered with.
type sent struct {
	FileID, URL, Name, Media, SHA256 string
	Size                             int64
}

const png = "\x89PNG\r\n\x1a\n rest of the picture"

// upload sends a file as a raw body.
func (p *person) upload(name, media, content string) (s sent) {
	p.w.Helper()
	p.do("POST", "/v1/files?name="+url.QueryEscape(name), content, "Content-Type", media).into(http.StatusCreated, &s)
	return s
}

// A file is uploaded at one replica, sent in a message to another and read at
// either. The model is told of it, and reads what is short and text.
func TestFilesOverTwoReplicas(t *testing.T) {
	var asked []llmtest.Request
	inBubble(t, func(r llmtest.Request) llmtest.Reply { asked = append(asked, r); return llmtest.Text("seen") }, func(w *world) {
		one, two := w.gate(), w.gate()
		a := w.guest(one)
		picture, list := a.upload("chart.png", "image/png", png), a.upload("list.csv", "text/csv", "name,sum\nAnn,3\n")
		b := a.at(two)
		tb := b.open()
		q := tb.must(object{"type": "send", "msg": object{"clientId": "k", "content": "What is this?", "files": []string{picture.FileID, list.FileID}}})
		tb.sub(q.C, "")
		s := tb.answered(q.C, q.Run)
		want := []tools.FileRef{{ID: picture.FileID, Name: "chart.png", Media: "image/png", Size: int64(len(png))}, {ID: list.FileID, Name: "list.csv", Media: "text/csv", Size: 15}}
		for what, ms := range map[string][]llm.Message{"the log": s.Messages, "the store": a.history(q.C)} {
			if len(ms) != 2 || ms[0].Metadata == nil || !slices.Equal(ms[0].Metadata.Parley.Files, want) || ms[0].Content != "What is this?" {
				t.Errorf("%s has %+v", what, ms)
			}
		}
		for _, p := range []*person{a, b, w.admin(two)} {
			got := p.get(picture.URL)
			got.into(http.StatusOK, nil)
			if string(got.body) != png || got.header.Get("Content-Type") != "image/png" {
				t.Errorf("read %q, %v", got.body, got.header)
			}
		}
		body := asked[0].Last().Content
		for _, part := range []string{"What is this?\n\n[attached: chart.png, image/png, 28 bytes]", "[attached: list.csv, text/csv, 15 bytes]", "--- begin " + list.FileID + " ---\nname,sum\nAnn,3\n--- end " + list.FileID + " ---"} {
			if !strings.Contains(body, part) {
				t.Errorf("the model was told %q, without %q", body, part)
			}
		}
		b.do("DELETE", "/v1/files/"+picture.FileID, nil).problem(http.StatusConflict, "conflict", "")
		b.do("DELETE", "/v1/conversations/"+q.C, nil).into(http.StatusNoContent, nil)
		a.get(picture.URL).problem(http.StatusNotFound, "not_found", "")
	})
}

func TestAnEditKeepsOrChangesFiles(t *testing.T) {
	inBubble(t, always(llmtest.Text("fine")), func(w *world) {
		p := w.guest(w.gate())
		one, two := p.upload("one.png", "image/png", png), p.upload("two.png", "image/png", png)
		tb := p.open()
		q := tb.must(object{"type": "send", "msg": object{"clientId": "k", "content": "", "files": []string{one.FileID}}}) // an image says enough
		tb.sub(q.C, "")
		tb.answered(q.C, q.Run)
		files := func(want ...string) {
			t.Helper()
			var ids []string
			ms := p.history(q.C)
			for _, f := range ms[len(ms)-2].Metadata.Parley.Files {
				ids = append(ids, f.ID)
			}
			if !slices.Equal(ids, want) {
				t.Errorf("files are %v, want %v", ids, want)
			}
		}
		files(one.FileID)
		for i, step := range []struct {
			files any
			want  []string
		}{{nil, []string{one.FileID}}, {[]string{two.FileID, one.FileID}, []string{two.FileID, one.FileID}}, {[]string{}, nil}} {
			cmd := object{"type": "edit", "c": q.C, "messageId": q.MessageID, "clientId": string(rune('a' + i)), "content": "again"}
			if step.files != nil {
				cmd["files"] = step.files
			}
			q2 := tb.must(cmd)
			tb.answered(q.C, q2.Run)
			q.MessageID = q2.MessageID
			files(step.want...)
		}
	})
}

func TestForeignFilesLookLikeNone(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		g := w.gate()
		foreign := w.guest(g).upload("x.txt", "text/plain", "secret words")
		other := w.guest(g)
		tb := other.open()
		for _, id := range []string{foreign.FileID, "fnever", "..%2f..", "x", strings.Repeat("f", 100)} {
			for _, method := range []string{"GET", "DELETE"} {
				other.do(method, "/v1/files/"+id, nil).problem(http.StatusNotFound, "not_found", "")
			}
			if a := other.do("HEAD", "/v1/files/"+id, nil); a.status != http.StatusNotFound {
				t.Errorf("HEAD %s: %d", id, a.status)
			}
		}
		for _, id := range []string{foreign.FileID, "fnever"} {
			tb.refused(object{"type": "send", "msg": object{"clientId": "k" + id, "content": "x", "files": []string{id}}}, http.StatusNotFound, "not_found", "msg.files")
			other.do("POST", "/v1/conversations/new/messages", object{"content": "x", "files": []string{id}}).problem(http.StatusNotFound, "not_found", "files")
		}
		mine := other.upload("y.txt", "text/plain", "y").FileID
		for _, ids := range [][]string{{mine, mine}, {"a b"}, {""}} {
			tb.refused(object{"type": "send", "msg": object{"clientId": "k2", "content": "x", "files": ids}}, http.StatusBadRequest, "bad_request", "msg.files")
			w.rest()
		}
		tb.refused(object{"type": "send", "msg": object{"clientId": "k2", "content": "x", "files": strings.Split(strings.Repeat("f,", 11), ",")}}, http.StatusBadRequest, "too_many", "msg.files")
		other.do("DELETE", "/v1/files/"+mine, nil).into(http.StatusNoContent, nil)
		other.get("/v1/files/"+mine).problem(http.StatusNotFound, "not_found", "")
	})
}

func TestAFileIsServedSoThatItCannotAct(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		p := w.guest(w.gate())
		for name, test := range map[string]struct{ declared, content, media, disposition string }{
			"pic.png":       {"image/png", png, "image/png", "inline"},
			"lie.jpg":       {"image/jpeg", png, "image/png", "inline"},
			"none.png":      {"", png, "image/png", "inline"},
			"evil.svg":      {"image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`, "image/svg+xml", "attachment"},
			"evil.html":     {"text/html", "<script>alert(1)</script>", "text/html; charset=utf-8", "attachment"},
			"plain.txt":     {"text/plain", "<script>alert(1)</script>", "text/plain; charset=utf-8", "attachment"},
			"sniffed.html":  {"", "<!doctype html><script>alert(1)</script>", "text/html; charset=utf-8", "attachment"},
			"bin.txt":       {"text/plain", "a\x00b", "application/octet-stream", "attachment"},
			"doc.pdf":       {"application/pdf", "%PDF-1.7", "application/pdf", "attachment"},
			"odd":           {"x/y; a=b=c", "abc", "text/plain; charset=utf-8", "attachment"},
			"Ωμέγα \"q\".c": {"text/x-c", "int", "text/x-c; charset=utf-8", "attachment"},
		} {
			s := p.upload(name, test.declared, test.content)
			a := p.get(s.URL)
			kind, params, err := mime.ParseMediaType(a.header.Get("Content-Disposition"))
			if err != nil || kind != test.disposition || params["filename"] != tools.FileName(name) || a.header.Get("Content-Type") != test.media {
				t.Errorf("%s: %v, %v %v", name, a.header, params, err)
			}
			for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'", "Cross-Origin-Resource-Policy": "same-origin"} {
				if got := a.header.Get(header); got != want {
					t.Errorf("%s: %s is %q", name, header, got)
				}
			}
			part := p.do("GET", s.URL, nil, "Range", "bytes=1-2")
			if part.status != http.StatusPartialContent || string(part.body) != test.content[1:3] {
				t.Errorf("%s: a range is %d %q", name, part.status, part.body)
			}
			if same := p.do("GET", s.URL, nil, "If-None-Match", a.header.Get("ETag")); same.status != http.StatusNotModified {
				t.Errorf("%s: %d for the same ETag", name, same.status)
			}
			if d := p.get(s.URL + "?download").header.Get("Content-Disposition"); !strings.HasPrefix(d, "attachment") {
				t.Errorf("%s: %q for a download", name, d)
			}
			w.rest()
		}
	})
}

func TestUploadsAreRefused(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		w.o.Files = gateway.FileOptions{Size: 1000, Person: 2500, Minute: 1000}
		p := w.guest(w.gate())
		post := func(media, body string, header ...string) *answer {
			return p.do("POST", "/v1/files?name=x", body, append([]string{"Content-Type", media}, header...)...)
		}
		post("image/png", "no picture").problem(http.StatusUnsupportedMediaType, "bad_request", "media")
		post("text/plain", "").problem(http.StatusBadRequest, "bad_request", "")
		post("text/plain", strings.Repeat("x", 1001)).problem(http.StatusRequestEntityTooLarge, "too_long", "size")
		post("multipart/form-data", "x").problem(http.StatusBadRequest, "bad_request", "")
		post("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nno file\r\n--b--").problem(http.StatusBadRequest, "bad_request", "")
		post("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\nbroken off").problem(http.StatusBadRequest, "bad_request", "")
		post("text/plain", "x", "Idempotency-Key", strings.Repeat("k", 129)).problem(http.StatusBadRequest, "bad_request", "clientId")
		var first, again sent
		post("text/plain", "once", "Idempotency-Key", "k").into(http.StatusCreated, &first)
		post("text/plain", "once", "Idempotency-Key", "k").into(http.StatusCreated, &again)
		if first != again || first.FileID == "" {
			t.Errorf("%+v and %+v", first, again)
		}
		post("text/plain", "other", "Idempotency-Key", "k").problem(http.StatusUnprocessableEntity, "conflict", "Idempotency-Key")
		p.upload("a", "", strings.Repeat("a", 1000))
		p.upload("b", "", strings.Repeat("b", 1000))
		post("text/plain", strings.Repeat("c", 1000)).problem(http.StatusInsufficientStorage, "quota_exceeded", "")
		w.guest(w.gates[0]).upload("c", "", strings.Repeat("c", 1000)) // another person has room
	})
}

func TestUploadAsMultipart(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		p := w.guest(w.gate())
		for name, want := range map[string]string{
			"a.png": "a.png", "../../a.png": "a.png", `..\a.png`: "a.png", "a\u202egnp.exe": "agnp.exe", "": "",
			strings.Repeat("ü", 300) + ".png": strings.Repeat("ü", 56) + "….png", "日本.png": "日本.png", "...": "file",
		} {
			var b bytes.Buffer
			m := multipart.NewWriter(&b)
			_ = m.WriteField("before", "x")
			h := textproto.MIMEHeader{"Content-Type": {"image/png"}, "Content-Disposition": {mime.FormatMediaType("form-data", map[string]string{"name": "file", "filename": name})}}
			part, _ := m.CreatePart(h)
			_, _ = part.Write([]byte(png))
			_ = m.Close()
			a := p.do("POST", "/v1/files", b.Bytes(), "Content-Type", m.FormDataContentType())
			if name == "" {
				a.problem(http.StatusBadRequest, "bad_request", "")
				continue
			}
			var s sent
			a.into(http.StatusCreated, &s)
			if s.Name != want || s.Media != "image/png" || s.Size != int64(len(png)) {
				t.Errorf("%q: %+v", name, s)
			}
		}
	})
}

// binary sends the bytes of an upload.
func (tb *tab) binary(ref uint32, data string) {
	tb.w.Helper()
	if err := tb.ws.Write(tb.w.Context(), websocket.MessageBinary, append(binary.BigEndian.AppendUint32(nil, ref), data...)); err != nil {
		tb.w.Fatal(err)
	}
}

func TestUploadsOverAWebSocket(t *testing.T) {
	inBubble(t, always(llmtest.Text("hi")), func(w *world) {
		one, two := w.gate(), w.gate()
		p := w.guest(one)
		tb := p.open()
		content := strings.Repeat("0123456789abcdef", 30_000) // 480 kB, two chunks
		begin := func(id string, size int) frame {
			return tb.ask(object{"type": "upload.begin", "clientId": id, "name": id + ".txt", "mime": "text/plain", "size": size})
		}
		a, b := begin("a", len(content)), begin("b", 3)
		if a.Type != "ok" || a.Ref == 0 || a.Ref == b.Ref {
			t.Fatalf("%s, %s", a.raw, b.raw)
		}
		for rest := content; rest != ""; { // two at once
			n := min(len(rest), 60_000)
			tb.binary(a.Ref, rest[:n])
			rest = rest[n:]
		}
		tb.binary(b.Ref, "b\nb")
		sum := sha256.Sum256([]byte(content))
		ended := tb.must(object{"type": "upload.end", "ref": a.Ref, "sha256": hex.EncodeToString(sum[:])})
		tb.must(object{"type": "upload.end", "ref": b.Ref})
		if got := p.at(two).get(ended.URL); string(got.body) != content || got.status != http.StatusOK {
			t.Errorf("%d, %d bytes", got.status, len(got.body))
		}
		if again := begin("a", len(content)); again.FileID != ended.FileID || again.Ref != 0 {
			t.Errorf("the repeat got %s", again.raw)
		}
		w.rest()
		tb.refused(object{"type": "upload.end", "ref": a.Ref}, http.StatusNotFound, "not_found", "ref")
		tb.refused(object{"type": "upload.begin", "name": "x", "size": 0}, http.StatusBadRequest, "bad_request", "size")
		tb.refused(object{"type": "upload.begin", "name": "x", "size": 1 << 40}, http.StatusRequestEntityTooLarge, "too_long", "size")

		short := begin("short", 10)
		tb.binary(short.Ref, "1234")
		tb.refused(object{"type": "upload.end", "ref": short.Ref}, http.StatusBadRequest, "bad_request", "size")
		wrong := begin("wrong", 1)
		tb.binary(wrong.Ref, "x")
		tb.refused(object{"type": "upload.end", "ref": wrong.Ref, "sha256": strings.Repeat("0", 64)}, http.StatusUnprocessableEntity, "bad_request", "sha256")

		w.rest()
		long := begin("long", 3)
		tb.binary(long.Ref, "1234")
		told := tb.first("too many bytes", func(f frame) bool { return f.Problem != nil && f.Ref == long.Ref })
		if told.ID != long.ID || told.Problem.Field != "size" {
			t.Errorf("told %s", told.raw)
		}
		tb.binary(long.Ref, "1234") // skipped
		tb.refused(object{"type": "upload.end", "ref": long.Ref}, http.StatusBadRequest, "bad_request", "size")
		tb.binary(99, "x")
		tb.first("an unknown ref", func(f frame) bool { return f.Problem != nil && f.Ref == 99 && f.Problem.Status == http.StatusNotFound })
		if err := tb.ws.Write(w.Context(), websocket.MessageBinary, []byte("abc")); err != nil {
			t.Fatal(err)
		}
		tb.first("a frame without a ref", func(f frame) bool { return f.Problem != nil && f.Problem.Code == "bad_frame" })
		w.rest()
		for range 4 {
			begin("", 5)
		}
		tb.refused(object{"type": "upload.begin", "name": "x", "size": 5}, http.StatusTooManyRequests, "too_many", "")
		tb.close() // nothing of those four is kept
		w.rest()
		n, err := one.Replica.Store.SweepFiles(w.Context(), time.UnixMilli(1), time.Now().Add(time.Hour))
		if err != nil || n != 0 {
			t.Errorf("%d halves are left, %v", n, err)
		}
	})
}

func TestAToolsImageIsShownInTheLog(t *testing.T) {
	script := func(r llmtest.Request) llmtest.Reply {
		if r.Messages[len(r.Messages)-1].Role == "tool" {
			return llmtest.Text("there")
		}
		return llmtest.Use(llmtest.Call{Name: "chart", Arguments: "{}"})
	}
	inBubble(t, script, func(w *world) {
		defer w.net.Serve(toolHost, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "image/png")
			_, _ = rw.Write([]byte(png))
		}))()
		g := w.gate()
		g.Replica.Tools.Files = gateway.NewFiles(g.Replica.Store, gateway.FileOptions{})
		w.admin(g).do("PUT", "/v1/tools/chart", object{"description": "draws", "url": "http://" + toolHost + "/chart"}).into(http.StatusOK, nil)
		p := w.guest(g)
		a := p.say("new", "draw")
		var files []tools.FileRef
		for _, m := range p.history(a.Conversation) {
			if m.Role == llm.ToolRole {
				files = m.Metadata.Parley.Outcome.Files
			}
		}
		if len(files) != 1 || files[0].Media != "image/png" || files[0].Name != "chart.png" {
			t.Fatalf("%+v", files)
		}
		if got := p.get("/v1/files/" + files[0].ID); string(got.body) != png {
			t.Errorf("%d %q", got.status, got.body)
		}
		w.guest(g).get("/v1/files/"+files[0].ID).problem(http.StatusNotFound, "not_found", "")
	})
}
