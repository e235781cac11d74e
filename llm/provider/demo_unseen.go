package provider

import (
	"fmt"
	"regexp"
	"strings"
)

// demoUnseenNote is what a question says of a file that the model does not take.
var demoUnseenNote = regexp.MustCompile(`\[attached: (.*), [^,\n]+, [^,\n]+\]\n\(You cannot (?:see|hear|read) it: you take no [^\n]*\)`)

// demoUnseen parts a question from the names of the files of which it only has
// a note.
func demoUnseen(question string) (words string, names []string) {
	for _, m := range demoUnseenNote.FindAllStringSubmatch(question, -1) {
		names = append(names, m[1])
	}
	if names == nil {
		return question, nil
	}
	return strings.TrimSpace(demoUnseenNote.ReplaceAllString(question, "")), names
}

// unsighted is a turn that says first what was not seen.
func (t demoTurn) unsighted(talk demoTalk) demoTurn {
	if len(talk.unseen) == 0 || len(t.calls) > 0 {
		return t
	}
	say := fmt.Sprintf("I am the built-in demo model and take text only, so I cannot look at what you attached: %s. A model that takes images can be set with PARLEY_MODEL.", strings.Join(talk.unseen, ", "))
	if talk.asked() == "" {
		return demoTurn{text: say}
	}
	t.text = say + "\n\n" + t.text
	return t
}
