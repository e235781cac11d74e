package tools

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/english"
)

const maxWord = 40 // bytes; what is longer is no word

// words reads texts as the words by which tools are found: names such as
// listOpenOrders and list_open-orders fall into their parts, and each word is
// cut to its English stem. Not safe for concurrent use.
type words struct {
	stems map[string]string
}

func newWords() *words { return &words{map[string]string{}} }

// of calls f with every word of text.
func (w *words) of(text string, f func(word string)) {
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if !inWord(r) {
			text = text[n:]
			continue
		}
		end := wordEnd(text)
		if unspaced(r) {
			pairs(text[:end], f)
		} else if word := text[:end]; len(word) > 1 && len(word) <= maxWord {
			f(w.stem(strings.ToLower(word)))
		}
		text = text[end:]
	}
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

// unspaced reports whether r is of a script that has no spaces between words.
func unspaced(r rune) bool {
	return r > 0xe00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// wordEnd returns where the word ends that text begins with: at a character
// that is in no word, before the capital in aB and before the second in ABc.
func wordEnd(text string) int {
	var before, last rune
	for i, r := range text {
		switch {
		case !inWord(r):
			return i
		case i == 0:
		case unspaced(r) != unspaced(last):
			return i
		case unicode.IsUpper(r) && unicode.IsLower(last):
			return i
		case unicode.IsLower(r) && unicode.IsUpper(last) && unicode.IsUpper(before):
			return i - utf8.RuneLen(last)
		}
		before, last = last, r
	}
	return len(text)
}

// pairs calls f with every two neighbours of a run of characters without
// spaces.
func pairs(run string, f func(string)) {
	rs := []rune(run)
	if len(rs) == 1 {
		f(run)
	}
	for i := 1; i < len(rs); i++ {
		f(string(rs[i-1 : i+1]))
	}
}

// joined calls f with the words of text that are written with a hyphen as the
// one word that they also are: to-do as todo.
func (w *words) joined(text string, f func(word string)) {
	for field := range strings.FieldsFuncSeq(text, func(r rune) bool { return !inWord(r) && r != '-' }) {
		word := strings.ToLower(strings.ReplaceAll(strings.Trim(field, "-"), "-", ""))
		if strings.Contains(strings.Trim(field, "-"), "-") && len(word) > 1 && len(word) <= maxWord {
			f(w.stem(word))
		}
	}
}

// stem returns the stem of a word in lower case.
func (w *words) stem(word string) string {
	if s, ok := w.stems[word]; ok {
		return s
	}
	env := snowballstem.NewEnv(word)
	english.Stem(env)
	w.stems[word] = env.Current()
	return w.stems[word]
}

// Words that say nothing about which tool is meant.
const emptyWords = `a about after again all also am an and any are as at be been before being but by can could did do does doing
down for from had has have having he her here him his how i if in into is it its just let like many me more most much my need no
not now of off on only or other our out over own please s same she should so some such t than that the their them then there
these they this those through to too under until up us very want was we were what when where which while who whom why will with
would yes yet you your yesterday today tomorrow`

// Words that people and the authors of interfaces use for the same, a line
// each. A word may be in several.
const alikeWords = `
get list show fetch retrieve read view find search display lookup see give check inspect
create add new make open insert post register put submit write place
delete remove destroy drop erase clear prune clean
update change edit modify patch set alter adjust put post
send deliver mail dispatch notify
start run launch begin execute boot
stop halt end terminate kill quit
cancel abort revoke void
close finish complete done resolve archive
move transfer relocate
copy duplicate clone fork
upload import attach
download export save
enable activate allow
disable deactivate block freeze suspend pause
attach link connect join
detach unlink disconnect leave
approve accept confirm
reject decline deny refuse
assign assignee responsible owner
user person people member account
customer client buyer
team group
company organization organisation org
message comment note reply
issue ticket bug
task todo
repository repo project
pull request pr
image picture photo drawing
audio voice sound speech recording
text transcript transcription
translate translation
mail email
file document attachment
money balance funds cash
payment charge pay
refund reimburse
invoice bill
price cost amount
coupon discount voucher
subscription plan membership
tax vat
card credit
bank account
order purchase
product item article
log logs output
statistics stats metrics usage
memory cpu resource
folder directory
tag label
picture paint draw generate
weather forecast
meeting event appointment calendar
schedule timetable
delivery shipment shipping
address location place
phone telephone number
password secret credential
key token
error failure problem
report summary
review rating
version release
server host machine node
job process
queue backlog
permission access right role
latest last newest recent
view look visit visitor traffic
rename name
sum total count`

// A lexicon knows which words say nothing and which say the same, by their
// stems. It does not change.
type lexicon struct {
	empty map[string]bool
	alike map[string][]string
}

func newLexicon(w *words) *lexicon {
	l := &lexicon{map[string]bool{}, map[string][]string{}}
	for word := range strings.FieldsSeq(emptyWords) {
		l.empty[w.stem(word)] = true
		l.empty[word] = true
	}
	for line := range strings.Lines(alikeWords) {
		var stems []string
		w.of(line, func(s string) { stems = append(stems, s) })
		for _, s := range stems {
			for _, other := range stems {
				if other != s {
					l.alike[s] = append(l.alike[s], other)
				}
			}
		}
	}
	return l
}
