package provider

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A demoValue is what a call returned and what it was called with.
type demoValue struct {
	args  *demoObject
	value any
}

// A demoField is one scalar of a result, by its path.
type demoField struct{ name, value string }

const (
	demoMaxRows  = 10
	demoMaxCols  = 7
	demoMaxItems = 20
)

// demoShow puts the results of one tool into words or a table.
func demoShow(asked string, values []demoValue) string {
	if text := demoWeather(asked, values); text != "" {
		return text
	}
	if len(values) > 1 {
		if text, ok := demoCompare(values); ok {
			return text
		}
	}
	var parts []string
	for _, v := range values {
		head := ""
		if args := demoScalars(v.args); len(values) > 1 && len(args) > 0 {
			head = "**" + demoSafe(args[0].value) + "**\n\n"
		}
		parts = append(parts, head+demoShowOne(v.value))
	}
	return strings.Join(parts, "\n\n")
}

// demoCompare makes one table with a row for each call, if the results are
// plain objects.
func demoCompare(values []demoValue) (string, bool) {
	var rows [][]demoField
	for _, v := range values {
		o, ok := v.value.(*demoObject)
		if !ok {
			return "", false
		}
		row := demoScalars(v.args)
		for _, f := range demoScalars(o) {
			if !slices.ContainsFunc(row, func(have demoField) bool { return have.name == f.name }) {
				row = append(row, f)
			}
		}
		if len(demoLists(o)) > 0 {
			return "", false
		}
		rows = append(rows, row)
	}
	return demoTable(rows), true
}

func demoShowOne(v any) string {
	switch v := v.(type) {
	case []any:
		return demoShowList(v)
	case *demoObject:
		return demoShowObject(v)
	}
	return demoSafe(demoText(v))
}

func demoShowObject(o *demoObject) string {
	var parts []string
	switch fields := demoScalars(o); {
	case len(fields) > 0 && len(fields) <= 3:
		var all []string
		for _, f := range fields {
			all = append(all, fmt.Sprintf("%s: **%s**", f.name, demoSafe(f.value)))
		}
		parts = append(parts, strings.Join(all, " · "))
	case len(fields) > 0:
		var lines []string
		for _, f := range fields[:min(len(fields), demoMaxItems)] {
			lines = append(lines, fmt.Sprintf("- %s: %s", f.name, demoSafe(f.value)))
		}
		parts = append(parts, strings.Join(lines, "\n"))
	}
	for _, name := range demoLists(o) {
		list, _ := demoAt(o, name).([]any)
		parts = append(parts, demoLabel(name)+":\n\n"+demoShowList(list))
	}
	if len(parts) == 0 {
		return "The result is empty."
	}
	return strings.Join(parts, "\n\n")
}

func demoShowList(list []any) string {
	if len(list) == 0 {
		return "Nothing was found."
	}
	var rows [][]demoField
	var lines []string
	for _, v := range list[:min(len(list), demoMaxRows)] {
		if o, ok := v.(*demoObject); ok {
			rows = append(rows, demoScalars(o))
		} else if text := demoText(v); text != "" {
			lines = append(lines, "- "+demoSafe(text))
		}
	}
	text := strings.TrimSpace(demoTable(rows) + "\n\n" + strings.Join(lines, "\n"))
	if more := len(list) - demoMaxRows; more > 0 {
		text += fmt.Sprintf("\n\n… and %d more.", more)
	}
	return text
}

// demoTable draws rows, with a column for each name in any of them.
func demoTable(rows [][]demoField) string {
	var cols []string
	for _, row := range rows {
		for _, f := range row {
			if !slices.Contains(cols, f.name) && len(cols) < demoMaxCols {
				cols = append(cols, f.name)
			}
		}
	}
	if len(cols) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |\n|", strings.Join(cols, " | "))
	for _, c := range cols {
		b.WriteString(demoAlign(c, rows))
	}
	for _, row := range rows {
		b.WriteString("\n|")
		for _, c := range cols {
			i := slices.IndexFunc(row, func(f demoField) bool { return f.name == c })
			if i < 0 {
				b.WriteString(" |")
			} else {
				fmt.Fprintf(&b, " %s |", demoSafe(row[i].value))
			}
		}
	}
	return b.String()
}

// demoAlign sets columns of figures to the right.
func demoAlign(col string, rows [][]demoField) string {
	for _, row := range rows {
		for _, f := range row {
			if f.name == col && (f.value == "" || !strings.ContainsAny(f.value[:1], "-−0123456789")) {
				return "---|"
			}
		}
	}
	return "---:|"
}

// demoScalars returns the scalars of an object and of the objects in it, in
// order.
func demoScalars(o *demoObject) []demoField {
	var out []demoField
	demoWalk(o, "", 0, func(path string, v any) {
		if _, isList := v.([]any); isList {
			return
		}
		if text := demoText(v); text != "" && len(out) < demoMaxItems {
			out = append(out, demoField{demoLabel(path), text})
		}
	})
	return out
}

// demoLists returns the paths of the arrays in an object.
func demoLists(o *demoObject) []string {
	var out []string
	demoWalk(o, "", 0, func(path string, v any) {
		if list, ok := v.([]any); ok && len(list) > 0 && len(out) < 3 {
			out = append(out, path)
		}
	})
	return out
}

// demoWalk visits what is no object, by its path.
func demoWalk(o *demoObject, path string, depth int, visit func(string, any)) {
	for _, key := range o.keys {
		at := strings.TrimPrefix(path+"."+key, ".")
		if inner, ok := o.get(key).(*demoObject); ok && depth < 3 {
			demoWalk(inner, at, depth+1, visit)
		} else if !ok {
			visit(at, o.get(key))
		}
	}
}

func demoAt(o *demoObject, path string) any {
	if v, ok := o.values[path]; ok {
		return v
	}
	for i := range len(path) {
		if inner, ok := o.get(path[:i]).(*demoObject); ok && path[i] == '.' {
			if v := demoAt(inner, path[i+1:]); v != nil {
				return v
			}
		}
	}
	return nil
}

// demoLabel makes a heading of a key: "order_id" is "Order id".
func demoLabel(path string) string {
	text := strings.NewReplacer("_", " ", ".", " ", "|", " ", "*", " ", "`", " ", "<", " ", "[", " ", "]", " ").Replace(demoHump.ReplaceAllString(path, "$1 $2"))
	text = demoLine(text, 60)
	if text == "" {
		return "Value"
	}
	r := []rune(text)
	return strings.ToUpper(string(r[:1])) + string(r[1:])
}

// demoText returns a scalar as text, nothing for null and what is no scalar.
func demoText(v any) string {
	switch v := v.(type) {
	case string:
		return demoLine(v, 200)
	case json.Number:
		return demoLine(v.String(), 40)
	case bool:
		if v {
			return "yes"
		}
		return "no"
	}
	return ""
}
