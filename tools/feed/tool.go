package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"time"

	"parley/tools"
)

// maxResult is how many bytes of values a model reads at once.
const maxResult = 16 << 10

const parameters = `{"type":"object","properties":{` +
	`"last":{"type":"integer","minimum":1,"maximum":1000,"description":"how many of the latest values to read, 1 if nothing is said"},` +
	`"since_seconds":{"type":"integer","minimum":1,"description":"read all values of so many last seconds instead"}},` +
	`"additionalProperties":false}`

// asked is what a model asks of a feed.
type asked struct {
	Last  int `json:"last"`
	Since int `json:"since_seconds"`
}

// tool returns the tool that reads f. It reads what every replica reads, and
// goes nowhere else.
func (b *Book) tool(f Feed) tools.Tool {
	host := ""
	if u, err := url.Parse(f.URL); err == nil {
		host = u.Host
	}
	spec := tools.Spec{
		Name: Prefix + f.Name, Description: f.Description + " (A live feed: returns its latest values with their times, and says so if they are old.)",
		Parameters: json.RawMessage(parameters), Effect: tools.Safe, Host: host, Tags: []string{"live", "feed"},
	}
	return tools.Func(spec, func(ctx context.Context, in asked) (tools.Result, error) {
		f, r, err := b.Read(ctx, f.Name)
		switch {
		case errors.Is(err, fs.ErrNotExist) || err == nil && f.Disabled:
			return tools.Failure("the feed is no longer there"), nil
		case err != nil && ctx.Err() == nil:
			return tools.Failure("the feed cannot be read at the moment; try again"), nil
		case err != nil:
			return tools.Result{}, err
		}
		return result(f, r, in), nil
	})
}

func result(f Feed, r Reading, in asked) tools.Result {
	if len(r.Values) == 0 {
		return tools.Failure("%s", r.Note(f))
	}
	n := max(in.Last, 1)
	if in.Since > 0 && in.Last == 0 {
		n = 0
	}
	vs := r.Recent(n, time.Duration(in.Since)*time.Second)
	if len(vs) == 0 {
		newest, _ := r.Newest()
		return tools.Result{Content: fmt.Sprintf("no value came in the last %d s; the newest one is %s old", in.Since, Age(r.Now.Sub(newest.At)))}
	}
	return tools.Result{Content: text(r.Excerpt(f, vs, maxResult))}
}

func text(e Excerpt) string {
	b, err := json.Marshal(e)
	if err != nil { // values are JSON
		return "the values cannot be shown"
	}
	return string(b)
}

// What pinned feeds add to a question at the most.
const (
	pinnedValues = 20
	pinnedBytes  = 2 << 10 // of one feed's values
)

// Pinned returns the current values of feeds as data for a model, nothing if
// none of them is there. A feed that cannot be read is said to be so.
func (b *Book) Pinned(ctx context.Context, names []string) string {
	var lines []string
	for _, name := range names {
		f, r, err := b.Read(ctx, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			lines = append(lines, text(Excerpt{Feed: name, Stale: true, Note: "the feed cannot be read at the moment"}))
			continue
		}
		e := r.Excerpt(f, r.Recent(pinnedValues, 0), pinnedBytes)
		e.About = line(f.Description, 300)
		lines = append(lines, text(e))
	}
	return strings.Join(lines, "\n")
}
