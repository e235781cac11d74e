package feed

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Value is what a feed said at a time.
type Value struct {
	At   time.Time
	JSON json.RawMessage
}

// A State is how the connection to a feed is.
type State struct {
	Replica   string    // that connects; empty if none does
	Connected time.Time // since when; zero if it is not
	Down      time.Time // since when it is not connected; zero if it is
	PerMinute int       // messages that came in the last minute
	Dropped   int64     // of all messages, those that came too fast or gave no value that can be kept
	Error     string    // the last one, shown to the administrator; it holds no secret
}

// A Reading is what a feed's window holds at a moment, the same on every
// replica.
type Reading struct {
	Now    time.Time // by the clock that the values' times are of
	Values []Value   // oldest first
	State  State
}

// Newest returns the latest value.
func (r Reading) Newest() (Value, bool) {
	if len(r.Values) == 0 {
		return Value{}, false
	}
	return r.Values[len(r.Values)-1], true
}

// Fresh reports whether the newest value of f is not old.
func (r Reading) Fresh(f Feed) bool {
	v, ok := r.Newest()
	return ok && r.Now.Sub(v.At) <= f.Stale()
}

// Note says in a sentence what must be known of the values; nothing if they
// are fresh and the feed is connected.
func (r Reading) Note(f Feed) string {
	v, ok := r.Newest()
	switch {
	case f.Disabled:
		return "the feed is switched off"
	case !ok:
		return "no value has come yet; " + r.connection()
	case !r.Fresh(f):
		return fmt.Sprintf("stale: the newest value is %s old, %s", Age(r.Now.Sub(v.At)), r.connection())
	case r.State.Connected.IsZero():
		return fmt.Sprintf("the newest value is %s old, %s", Age(r.Now.Sub(v.At)), r.connection())
	}
	return ""
}

func (r Reading) connection() string {
	switch {
	case !r.State.Connected.IsZero():
		return "the feed is connected but has sent nothing since"
	case !r.State.Down.IsZero():
		return "the feed has been disconnected since " + stamp(r.State.Down)
	}
	return "the feed is not connected"
}

// Recent returns the last values, at most n of them, 0 for all, and none that
// is older than age, 0 for any.
func (r Reading) Recent(n int, age time.Duration) []Value {
	vs := r.Values
	for age > 0 && len(vs) > 0 && r.Now.Sub(vs[0].At) > age {
		vs = vs[1:]
	}
	if n > 0 && len(vs) > n {
		vs = vs[len(vs)-n:]
	}
	return vs
}

// Age writes how long ago something was, for people: "3 s", "14 min".
func Age(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// An Excerpt is a reading as models and clients are shown it.
type Excerpt struct {
	Feed    string        `json:"feed"`
	About   string        `json:"about,omitempty"`
	AsOf    string        `json:"asOf"`
	Stale   bool          `json:"stale,omitempty"`
	Note    string        `json:"note,omitempty"`
	Latest  *ShownValue   `json:"latest,omitempty"`
	Earlier []*ShownValue `json:"earlier,omitempty"` // newest first
	Left    int           `json:"leftOut,omitempty"` // older ones that were asked for and are too much
}

// A ShownValue is a value with its age.
type ShownValue struct {
	Value json.RawMessage `json:"value"`
	At    string          `json:"at"`
	Age   string          `json:"age"`
}

// Excerpt shows values of a reading, oldest first, as many of the newest as
// are at most so many bytes.
func (r Reading) Excerpt(f Feed, vs []Value, bytes int) Excerpt {
	e := Excerpt{Feed: f.Name, AsOf: stamp(r.Now), Stale: !r.Fresh(f), Note: r.Note(f)}
	for i := len(vs) - 1; i >= 0; i-- {
		v := vs[i]
		if bytes -= len(v.JSON) + 60; bytes < 0 && e.Latest != nil {
			e.Left = i + 1
			break
		}
		shown := &ShownValue{Value: v.JSON, At: stamp(v.At), Age: Age(r.Now.Sub(v.At))}
		if e.Latest == nil {
			e.Latest = shown
			continue
		}
		e.Earlier = append(e.Earlier, shown)
	}
	return e
}
