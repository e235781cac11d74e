package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const helpWidth = 96 // columns

// writeSettingsHelp writes the settings in groups, as `parley serve --help`
// shows them.
func writeSettingsHelp(w io.Writer, rows []setting) {
	group := ""
	for _, r := range rows {
		if r.group != group {
			group = r.group
			fmt.Fprintf(w, "\n%s\n", group)
		}
		fmt.Fprintf(w, "  %s %s  %s\n", r.flag(), r.arg, r.env())
		for _, line := range wrap(r.help+r.defaultNote(), helpWidth-8) {
			fmt.Fprintf(w, "        %s\n", line)
		}
	}
}

func (r setting) defaultNote() string {
	if d := r.defaultShown(); d != "" {
		return " Default: " + d + "."
	}
	return ""
}

// wrap breaks a text into lines of at most width columns.
func wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// settingsMarkdown renders the table of settings as the README shows it.
func settingsMarkdown(rows []setting) string {
	var b strings.Builder
	b.WriteString("| Flag and YAML key | Environment | Default | What it is |\n|---|---|---|---|\n")
	for _, r := range rows {
		d := r.defaultShown()
		if d == r.def && d != "" {
			d = "`" + d + "`"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", r.flag(), r.env(), cell(d), cell(r.help))
	}
	return b.String()
}

// cell escapes what would end a cell of a Markdown table.
func cell(v string) string { return strings.ReplaceAll(v, "|", `\|`) }
