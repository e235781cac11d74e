package run_test

import (
	"fmt"
	"slices"
	"testing"

	"parley/gateway/chat"
	"parley/gateway/gatewaytest"
	"parley/llm"
)

// To followers a store that has more than the log means that the log was
// rolled back. So nothing is archived that the log does not have.
func TestNothingIsArchivedBeforeItIsInTheLog(t *testing.T) {
	inWorld(t, with(numbered), func(t *testing.T, w *world) {
		a := w.desk()
		rdb := gatewaytest.NewLink(w.Redis).Client()
		defer rdb.Close()
		log, archived := chat.NewLog(rdb), 0
		a.set(func(d *desk) {
			d.archive = func(b chat.Batch) error {
				s, at, err := log.Fold(t.Context(), "conv")
				if err != nil {
					return err
				}
				archived++
				for _, m := range b.Messages {
					if i := slices.IndexFunc(s.Messages, func(in llm.Message) bool { return in.ID == m.ID }); i < 0 {
						t.Errorf("%s %q is archived while the log ends at %v without it", m.Role, m.Content, at)
					} else if slices.Contains(s.Open, m.ID) || s.Messages[i].Content != m.Content {
						t.Errorf("%s %q is archived while the log has %q", m.Role, m.Content, s.Messages[i].Content)
					}
				}
				return nil
			}
		})
		for i := range 10 {
			w.ended(w.say(a.Runner, "conv", fmt.Sprint(i)).Run)
		}
		if archived < 20 {
			t.Errorf("%d batches were archived", archived)
		}
	})
}
