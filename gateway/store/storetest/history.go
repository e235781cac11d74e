package storetest

import (
	"fmt"
	"strings"
	"testing"

	"parley/gateway/chat"
	"parley/llm"
)

func history() map[string]func(*testing.T, Store) {
	return map[string]func(*testing.T, Store){
		"pages lead from the end to the beginning": historyPages,
		"pages hold while more is said":            historyGrows,
		"pages leave out what is hidden":           historyHidden,
		"before a message that is not there":       historyUnknown,
		"has a page size when none is asked for":   historyDefault,
	}
}

// talk archives n messages m00, m01 … of run r1.
func talk(t *testing.T, s Store, conv string, from, to int) {
	t.Helper()
	var b chat.Batch
	for i := from; i < to; i++ {
		b.Messages = append(b.Messages, answer(fmt.Sprint("r", i%2+1), fmt.Sprintf("m%02d", i), "text"))
	}
	ok(t, s.Archive(t.Context(), conv, 5, b))
}

// back reads all pages, each before the last, and calls between after each.
func back(t *testing.T, s Store, conv string, limit int, between func()) string {
	t.Helper()
	var all []llm.Message
	before := ""
	for range 20 {
		ms, next, err := s.History(t.Context(), conv, before, limit)
		ok(t, err)
		if len(ms) > limit || len(ms) == 0 && before != "" {
			t.Fatalf("a page of %d with limit %d", len(ms), limit)
		}
		all = append(append([]llm.Message(nil), ms...), all...)
		if next == "" {
			return ids(all)
		}
		between()
		before = next
	}
	t.Fatalf("the history does not begin: %s", ids(all))
	return ""
}

func historyPages(t *testing.T, s Store) {
	conv := claimed(t, s)
	talk(t, s, conv, 0, 10)
	want := "m00 m01 m02 m03 m04 m05 m06 m07 m08 m09"
	for _, limit := range []int{1, 2, 3, 5, 9, 10, 11} {
		equal(t, fmt.Sprint("by ", limit), back(t, s, conv, limit, func() {}), want)
	}
	ms, next, err := s.History(t.Context(), conv, "m07", 3)
	ok(t, err)
	equal(t, "before m07", ids(ms), "m04 m05 m06")
	equal(t, "next", next, "m04")
	ms, next, err = s.History(t.Context(), conv, "m00", 3)
	ok(t, err)
	equal(t, "before the first", ids(ms), "")
	equal(t, "next", next, "")
}

func historyGrows(t *testing.T, s Store) {
	conv := claimed(t, s)
	talk(t, s, conv, 0, 6)
	n := 6
	got := back(t, s, conv, 2, func() { talk(t, s, conv, n, n+3); n += 3 })
	equal(t, "pages", got, "m00 m01 m02 m03 m04 m05")
}

func historyHidden(t *testing.T, s Store) {
	conv := claimed(t, s)
	talk(t, s, conv, 0, 8)
	ok(t, s.Archive(t.Context(), conv, 5, chat.Batch{Replaced: "r1"}))
	for _, limit := range []int{1, 2, 4} {
		equal(t, fmt.Sprint("by ", limit), back(t, s, conv, limit, func() {}), "m01 m03 m05 m07")
	}
}

func historyUnknown(t *testing.T, s Store) {
	conv := answered(t, s)
	for _, c := range []string{conv, "c9"} {
		_, _, err := s.History(t.Context(), c, "zz", 3)
		fails(t, err, chat.ErrNotFound)
	}
}

func historyDefault(t *testing.T, s Store) {
	conv := claimed(t, s)
	talk(t, s, conv, 0, 60)
	ms, next, err := s.History(t.Context(), conv, "", 0)
	ok(t, err)
	equal(t, "messages", len(ms), 50)
	equal(t, "next", next, "m10")
	if !strings.HasSuffix(ids(ms), "m58 m59") {
		t.Error(ids(ms))
	}
}
