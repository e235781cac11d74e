package storetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/llm"
	"parley/tools"
)

func files() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"are read as they were written":            fileWhole,
		"are not there before they are whole":      fileHalf,
		"go with their conversation":               fileDeleted,
		"are attached in the step of the question": fileAttached,
		"of others are not attached":               fileForeign,
		"are kept by an edit":                      fileEdited,
		"are bounded for each person":              fileQuota,
		"are bounded for those who race":           fileRace,
		"that nobody attached are swept":           fileSwept,
		"are uploaded once under a client id":      fileRepeated,
	}
}

func upload(t *testing.T, s Store, f chat.NewFile, content []byte) chat.File {
	t.Helper()
	w, err := s.NewFile(t.Context(), f)
	ok(t, err)
	ok(t, w.Write(t.Context(), content))
	got, err := w.Commit(t.Context(), "image/png")
	ok(t, err)
	return got
}

func ofAnn(id string) chat.NewFile { return chat.NewFile{ID: id, Owner: "ann", Name: id + ".png"} }

func fileWhole(t *testing.T, s Store) {
	for _, size := range []int{1, 256 << 10, 256<<10 + 1, 1 << 20, 3<<20 - 7} {
		content := make([]byte, size)
		r := rand.NewChaCha8([32]byte{byte(size)})
		r.Read(content) //nolint:errcheck // never fails
		id := fmt.Sprint("f", size)
		w, err := s.NewFile(t.Context(), ofAnn(id))
		ok(t, err)
		for rest := content; len(rest) > 0; { // in pieces that are no chunks
			n := min(len(rest), 70_001)
			ok(t, w.Write(t.Context(), rest[:n]))
			rest = rest[n:]
		}
		_, err = w.Commit(t.Context(), "application/x-thing")
		ok(t, err)
		f, opened, err := s.OpenFile(t.Context(), id)
		ok(t, err)
		sum := sha256.Sum256(content)
		if f.Size != int64(size) || f.SHA256 != hex.EncodeToString(sum[:]) || f.Media != "application/x-thing" || f.Name != id+".png" || f.Owner != "ann" || f.Conversation != "" {
			t.Fatalf("%+v", f)
		}
		got, err := io.ReadAll(opened)
		ok(t, err)
		if !bytes.Equal(got, content) {
			t.Fatalf("%d bytes came back otherwise", size)
		}
		at := int64(size / 2)
		_, err = opened.Seek(at, io.SeekStart)
		ok(t, err)
		got, err = io.ReadAll(opened)
		ok(t, err)
		if !bytes.Equal(got, content[at:]) {
			t.Fatalf("from %d on it came back otherwise", at)
		}
	}
}

func fileHalf(t *testing.T, s Store) {
	w, err := s.NewFile(t.Context(), ofAnn("f1"))
	ok(t, err)
	ok(t, w.Write(t.Context(), make([]byte, 300<<10)))
	_, err = s.File(t.Context(), "f1")
	fails(t, err, chat.ErrNotFound)
	_, _, err = s.OpenFile(t.Context(), "f1")
	fails(t, err, chat.ErrNotFound)
	q := question("c1", "1")
	q.Files = []string{"f1"}
	_, _, err = s.Accept(t.Context(), q)
	fails(t, err, chat.ErrNoFile)
	ok(t, w.Abort(t.Context()))
	_, err = w.Commit(t.Context(), "image/png")
	fails(t, err, chat.ErrNotFound)
	ok(t, w.Abort(t.Context()))
}

func fileDeleted(t *testing.T, s Store) {
	conv := claimed(t, s)
	f := ofAnn("f1")
	f.Conversation = conv
	upload(t, s, f, []byte("x"))
	half := ofAnn("f2")
	half.Conversation = conv
	w, err := s.NewFile(t.Context(), half)
	ok(t, err)
	fails(t, s.DeleteFile(t.Context(), "f1"), chat.ErrNotFound) // it is attached
	ok(t, s.DeleteConversation(t.Context(), conv))
	_, err = s.File(t.Context(), "f1")
	fails(t, err, chat.ErrNotFound)
	_, err = w.Commit(t.Context(), "image/png")
	fails(t, err, chat.ErrNotFound)
	_, err = s.NewFile(t.Context(), half)
	fails(t, err, chat.ErrNotFound)
	upload(t, s, ofAnn("f3"), []byte("x"))
	ok(t, s.DeleteFile(t.Context(), "f3"))
	fails(t, s.DeleteFile(t.Context(), "f3"), chat.ErrNotFound)
}

func fileAttached(t *testing.T, s Store) {
	upload(t, s, ofAnn("f1"), []byte("one"))
	upload(t, s, ofAnn("f2"), []byte("twoo"))
	q := question("c1", "1")
	q.Files = []string{"f2", "f1"}
	got := mustAccept(t, s, q)
	want := []tools.FileRef{{ID: "f2", Name: "f2.png", Media: "image/png", Size: 4}, {ID: "f1", Name: "f1.png", Media: "image/png", Size: 3}}
	equal(t, "the question's files", got.Message.Metadata.Parley.Files, want)
	qs, err := s.Pending(t.Context(), "c1")
	ok(t, err)
	equal(t, "the files of what is due", qs[0].Message.Metadata.Parley.Files, want)
	f, err := s.File(t.Context(), "f1")
	ok(t, err)
	equal(t, "the conversation", f.Conversation, "c1")
	again, fresh, err := s.Accept(t.Context(), q)
	ok(t, err)
	if fresh {
		t.Fatal("the question was asked twice")
	}
	equal(t, "the files of the repeat", again.Message.Metadata.Parley.Files, want)
	other := question("c2", "2")
	other.Files = []string{"f1"}
	_, _, err = s.Accept(t.Context(), other)
	fails(t, err, chat.ErrNoFile)
}

func fileForeign(t *testing.T, s Store) {
	upload(t, s, chat.NewFile{ID: "f1", Owner: "ben", Name: "x"}, []byte("x"))
	q := question("c1", "1")
	for _, id := range []string{"f1", "never", ""} {
		q.Files = []string{id}
		_, _, err := s.Accept(t.Context(), q)
		fails(t, err, chat.ErrNoFile)
	}
	_, err := s.Conversation(t.Context(), "c1")
	fails(t, err, chat.ErrNotFound) // nothing of the question was stored
	q.Files, q.Uploader = []string{"f1"}, "ben"
	mustAccept(t, s, q)
}

func fileEdited(t *testing.T, s Store) {
	upload(t, s, ofAnn("f1"), []byte("x"))
	upload(t, s, ofAnn("f2"), []byte("x"))
	q := question("c1", "1")
	q.Files = []string{"f1"}
	first := mustAccept(t, s, q)
	ok(t, s.Claimed(t.Context(), "c1", 5, "nonce"))
	ok(t, s.Archive(t.Context(), "c1", 5, chat.Batch{Messages: []llm.Message{first.Message, answer("r1", "a1", "answer")}, Run: ended("r1")}))
	e := question("c1", "2")
	e.Edits, e.KeepFiles = "q1", true
	got := mustAccept(t, s, e)
	equal(t, "the files", got.Message.Metadata.Parley.Files, first.Message.Metadata.Parley.Files)
	ok(t, s.Archive(t.Context(), "c1", 5, chat.Batch{Messages: []llm.Message{got.Message}, Edited: "q1", Run: ended("r2")}))
	e = question("c1", "3")
	e.Edits, e.Files = "q2", []string{"f1", "f2"}
	if got := mustAccept(t, s, e); len(got.Message.Metadata.Parley.Files) != 2 {
		t.Fatalf("%+v", got.Message.Metadata)
	}
}

func fileQuota(t *testing.T, s Store) {
	f := ofAnn("f1")
	f.Most = chat.FileLimits{Files: 3, Bytes: 100}
	upload(t, s, f, make([]byte, 60))
	f.ID, f.Size = "f2", 41
	_, err := s.NewFile(t.Context(), f)
	fails(t, err, chat.ErrQuota)
	f.Size = 0 // not announced: it is seen at the end
	w, err := s.NewFile(t.Context(), f)
	ok(t, err)
	ok(t, w.Write(t.Context(), make([]byte, 41)))
	_, err = w.Commit(t.Context(), "image/png")
	fails(t, err, chat.ErrQuota)
	ok(t, w.Abort(t.Context()))
	upload(t, s, f, make([]byte, 40))
	f.ID = "f3"
	_, err = s.NewFile(t.Context(), f)
	ok(t, err)
	f.ID = "f4"
	_, err = s.NewFile(t.Context(), f)
	fails(t, err, chat.ErrQuota)
	f.Owner = "ben"
	upload(t, s, f, make([]byte, 100))
}

func fileRace(t *testing.T, s Store) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	whole := 0
	for i := range 8 {
		wg.Go(func() {
			f := ofAnn(fmt.Sprint("f", i))
			f.Most = chat.FileLimits{Files: 5}
			if w, err := s.NewFile(t.Context(), f); err == nil && w.Write(t.Context(), []byte("x")) == nil {
				if _, err := w.Commit(t.Context(), "image/png"); err == nil {
					mu.Lock()
					whole++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	equal(t, "whole files", whole, 5)
}

func fileSwept(t *testing.T, s Store) {
	conv := claimed(t, s)
	kept := ofAnn("f1")
	kept.Conversation = conv
	upload(t, s, kept, []byte("x"))
	upload(t, s, ofAnn("f2"), []byte("x"))
	_, err := s.NewFile(t.Context(), ofAnn("f3"))
	ok(t, err)
	long, later := time.UnixMilli(1), time.Now().Add(time.Hour)
	n, err := s.SweepFiles(t.Context(), long, long)
	ok(t, err)
	equal(t, "swept too early", n, 0)
	n, err = s.SweepFiles(t.Context(), long, later)
	ok(t, err)
	equal(t, "swept of what is not whole", n, 1)
	n, err = s.SweepFiles(t.Context(), later, later)
	ok(t, err)
	equal(t, "swept of what is loose", n, 1)
	_, err = s.File(t.Context(), "f1")
	ok(t, err)
}

func fileRepeated(t *testing.T, s Store) {
	f := ofAnn("f1")
	f.ClientID = "k"
	half, err := s.NewFile(t.Context(), f)
	ok(t, err)
	f.ID = "f2" // whoever sends again has lost the first try
	upload(t, s, f, []byte("x"))
	_, err = half.Commit(t.Context(), "image/png")
	fails(t, err, chat.ErrNotFound)
	f.ID = "f3"
	_, err = s.NewFile(t.Context(), f)
	fails(t, err, chat.ErrTaken)
	got, err := s.FileOf(t.Context(), "ann", "k")
	ok(t, err)
	equal(t, "the file", got.ID, "f2")
	f.Owner = "ben"
	upload(t, s, f, []byte("x"))
}
