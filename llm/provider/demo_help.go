package provider

import (
	"fmt"
	"regexp"
	"strings"
)

// demoNote ends an answer once in a conversation.
const demoNote = "*Demo model, not a language model: it picks tools by matching words.*"

func demoHasNote(text string) bool { return strings.Contains(text, demoNote) }

const demoConnect = "To connect a real model, set `PARLEY_MODEL_URL`, `PARLEY_MODEL_KEY` and `PARLEY_MODEL` and start Parley again."

var (
	demoGreeting = regexp.MustCompile(`(?i)^\W*(?:hi|hello|hey|hiya|howdy|greetings|good (?:morning|afternoon|evening|day)|how are you|how do you do|how's it going)\b(?:\s+(?:there|parley|all|everyone|today|doing))*\W*$`)
	demoThanks   = regexp.MustCompile(`(?i)^\W*(?:thanks|thank you|thx|cheers|great|ok|okay|bye|goodbye)\b(?:\s+(?:a lot|so much|very much|thanks|you|bye))*\W*$`)
	demoWhoAreU  = regexp.MustCompile(`(?i)\b(?:what can (?:you|i|parley) (?:do|ask)|who are you|what are you|are you (?:an? )?(?:ai|real|bot|robot|human|person|language model|llm|chatgpt|gpt)|what (?:tools|model) (?:do|are|have|can) you|which (?:tools|model)|how do i connect|your name)\b|^\W*help\W*$`)
)

// smallTalk answers what needs no tool, or returns nothing.
func (m demoMind) smallTalk(asked string) string {
	switch {
	case asked == "":
		return "Ask me something. " + m.about()
	case demoGreeting.MatchString(asked):
		return "Hello! " + m.about()
	case demoThanks.MatchString(asked):
		return "You're welcome."
	case demoWhoAreU.MatchString(asked):
		return m.about()
	}
	return ""
}

// help says plainly that there is no answer, and why.
func (m demoMind) help() string {
	return "I have no answer to that: none of my tools fits the question, and I know nothing without them. " + m.about()
}

// about says what the model is and can do.
func (m demoMind) about() string {
	const am = "I am Parley's built-in demo model, not a language model: I pick tools by matching words and write answers from what they return."
	if len(m.tools) == 0 {
		return am + " At the moment I have no tools, so all I can do is say so.\n\n" + demoConnect
	}
	var b strings.Builder
	b.WriteString(am + "\n\nMy tools:\n")
	for i, t := range m.tools {
		if i == 12 {
			fmt.Fprintf(&b, "- and %d more\n", len(m.tools)-i)
			break
		}
		fmt.Fprintf(&b, "- `%s`: %s\n", t.spec.Name, demoFirstSentence(t.spec.Description))
	}
	if examples := m.examples(); len(examples) > 0 {
		b.WriteString("\nTry:\n- " + strings.Join(examples, "\n- ") + "\n")
	}
	return b.String() + "\n" + demoConnect
}

func demoFirstSentence(text string) string {
	text = strings.TrimSpace(demoCut(text))
	text, _ = demoSplitFirst(text)
	if r := []rune(text); len(r) > 160 {
		text = string(r[:160]) + "…"
	}
	return strings.Join(strings.Fields(text), " ")
}

// demoExamples are questions for tools of these concepts. The first that the
// model would answer with a call is shown.
var demoExamples = []string{
	"What is the weather in Lisbon and in Oslo tomorrow?",
	"How does Parley survive a replica's death?",
	"Convert 100 USD to EUR",
	"What is 12 * 7?",
	"Translate \"good morning\" to French",
}

// examples returns questions that would make a call.
func (m demoMind) examples() []string {
	var out []string
	for _, q := range demoExamples {
		if plan := m.plan(demoTalk{questions: []string{q}}); len(plan.calls) > 0 {
			out = append(out, q)
		}
	}
	return out
}

// demoAsk asks a person for what a tool requires.
func demoAsk(t *demoTool, missing []*demoParam) string {
	var b strings.Builder
	if len(missing) == 1 {
		fmt.Fprintf(&b, "I can ask `%s`, but I still need to know the %s.", t.spec.Name, demoWants(missing[0]))
		return b.String()
	}
	fmt.Fprintf(&b, "I can ask `%s`, but I still need to know:\n", t.spec.Name)
	for _, p := range missing {
		fmt.Fprintf(&b, "- the %s\n", demoWants(p))
	}
	return strings.TrimSpace(b.String())
}

// demoWants names a parameter and says what it takes.
func demoWants(p *demoParam) string {
	name := "**" + strings.ReplaceAll(demoHump.ReplaceAllString(p.name, "$1 $2"), "_", " ") + "**"
	if values := demoEnum(p); len(values) > 0 {
		var all []string
		for _, v := range values[:min(len(values), 12)] {
			all = append(all, fmt.Sprint(v))
		}
		return name + " (one of " + strings.Join(all, ", ") + ")"
	}
	if about := demoFirstSentence(p.desc); about != "" {
		return name + " (" + about + ")"
	}
	return name
}

// demoMayNotCall says what would have been called.
func demoMayNotCall(p demoPlan) string {
	return fmt.Sprintf("I would look this up with `%s`, but I may not call tools now, and I know nothing without them. %s",
		p.calls[0].tool.spec.Name, "Ask again and I will.")
}
