package rag

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTerms(t *testing.T) {
	for _, c := range []struct{ name, language, text, want string }{
		{"English stems", "english", "Retrying CONNECTIONS, 3.5 times!", "retri connect 3 5 time"},
		{"compatibility forms", "english", "ﬁle ＡＢＣ ½", "file abc 1 2"},
		{"German stems", "german", "Häuser Straßen", "haus strass"},
		{"Turkish casing", "turkish", "IRMAK İZMİR", "ırmak izmir"},
		{"Russian by its script", "english", "новые книги books", "нов книг book"},
		{"Hindi keeps its vowel signs", "english", "हिन्दी की किताबें", "हिन्दी की किताबें"},
		{"Vietnamese keeps its tones", "none", "Thành phố Hồ Chí Minh", "thành phố hồ chí minh"},
		{"Vietnamese decomposed is the same", "none", "Tha\u0300nh pho\u0302\u0301", "thành phố"},
		{"Greek sigma", "english", "ΛΌΓΟΣ λόγος", "λόγοσ λόγοσ"},
		{"Chinese pairs", "english", "北京大学,和", "北京 京大 大学 和"},
		{"Japanese pairs, long vowels too", "english", "サーバー", "サー ーバ バー"},
		{"Thai pairs", "english", "ภาษาไทย", "ภา าษ ษา าไ ไท ทย"},
		{"words beside pairs", "english", "iPhone用アプリ2", "iphon 用ア アプ プリ 2"},
		{"Korean words", "english", "안녕 세상", "안녕 세상"},
		{"too long for a word", "english", strings.Repeat("x", 65) + " ok", "ok"},
		{"nothing", "english", " \x00\xff-…🙂", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := newLanguage(c.language)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			l.analyser().terms(c.text, func(term string) { got = append(got, term) })
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestQueryTerms(t *testing.T) {
	l, err := newLanguage("english")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, query, want string }{
		{"stop words go", "What is the height of the tower?", "height tower"},
		{"each term once", "tower Towers TOWER", "tower"},
		{"stop words stay if alone", "To be or not to be", "to be or not"},
		{"Russian stop words go", "что это за книга", "книг"},
		{"no more than asked for", "a1 a2 a3 a4 a5 a6 a7", "a1 a2 a3 a4 a5"},
		{"nothing to look for", "?!", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := l.analyser().query(c.query, 5)
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLanguageUnknown(t *testing.T) {
	_, err := New(nil, Options{Language: "klingon"})
	if err == nil || !strings.Contains(err.Error(), "choose one of arabic, danish") {
		t.Errorf("got %v, want the languages to choose from", err)
	}
}

func FuzzTerms(f *testing.F) {
	f.Add("Hello 北京 ภาษาไทย \xff\x00 हिन्दी")
	l, err := newLanguage("turkish")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l.analyser().terms(text, func(term string) {
			if term == "" || len(term) > maxTermBytes || strings.ToValidUTF8(term, "") != term || strings.Contains(term, "\x00") {
				t.Fatalf("term %q cannot be stored", term)
			}
		})
	})
}
