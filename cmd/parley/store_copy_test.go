package main

import (
	"path/filepath"
	"strings"
	"testing"

	"parley/gateway/chat"
	"parley/gateway/store"
)

func TestStoreCopy(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "old.db"), filepath.Join(t.TempDir(), "new.db")
	db, err := store.Open(t.Context(), from, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.CreateConversation(t.Context(), chat.Conversation{ID: "c1", Owner: "ann"}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	r := program(t, nil, "", "store", "copy", from, to)
	if r.code != exitOK || !strings.HasPrefix(r.out, "1 row copied and counted.") ||
		!strings.Contains(r.errOut, "must be stopped") || !strings.Contains(r.errOut, "conversations          1\n") {
		t.Errorf("exit %d, %q, %q", r.code, r.out, r.errOut)
	}
	if r := program(t, nil, "", "store", "copy", from, to); r.code != exitFailed || !strings.Contains(r.errOut, "1 rows of conversations: it must be empty") {
		t.Errorf("again: exit %d, %q", r.code, r.errOut)
	}
}

func TestStoreCopyRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "parley.db")
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "store needs one of copy"},
		{[]string{"copy", file}, exitUsage, "needs two stores, FROM and TO"},
		{[]string{"copy", ":memory:", file}, exitUsage, `":memory:" is not the path`},
		{[]string{"copy", file, "mysql://u:topsecret@db/p"}, exitUsage, `"mysql://u:xxxxx@db/p" is not the path`},
		{[]string{"copy", file, file + ".new"}, exitFailed, "there is no store at " + file},
		{[]string{"copy", "postgres://u:topsecret@127.0.0.1:1/p", file}, exitFailed, "the server cannot be reached"},
	} {
		r := program(t, nil, "", append([]string{"store"}, tt.args...)...)
		if r.code != tt.code || !strings.Contains(r.errOut, tt.want) || strings.Contains(r.errOut, "topsecret") {
			t.Errorf("%q: exit %d, %q", tt.args, r.code, r.errOut)
		}
	}
}
