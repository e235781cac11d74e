package gateway_test

import (
	"net/http"
	"testing"
)

// What was always allowed is taken back at one replica, and asked about at the
// other.
func TestAnAllowanceIsTakenBack(t *testing.T) {
	inBubble(t, usePay, func(w *world) {
		calls := w.till()
		g, other := w.gate(), w.gate()
		w.admin(g).do("PUT", "/v1/tools/pay", tillTool()).into(http.StatusOK, nil)
		p := w.guest(g)
		a := p.pays("new")
		at := "/v1/conversations/" + a.Conversation + "/allowances"
		allowed := func(want int) {
			t.Helper()
			var list struct{ Allowances []struct{ Tool string } }
			p.at(other).get(at).into(http.StatusOK, &list)
			if len(list.Allowances) != want || want > 0 && list.Allowances[0].Tool != "pay" {
				t.Errorf("allowed is %+v, want %d", list.Allowances, want)
			}
		}
		allowed(0)
		p.decides(a, a.with(object{"approved": true, "always": true})).into(http.StatusOK, nil)
		w.rest()
		allowed(1)
		if r := p.say(a.Conversation, "pay"); r.Status != "finished" || calls.Load() != 2 {
			t.Fatalf("it was asked about: %+v", r)
		}
		w.rest()
		p.do("DELETE", at+"/look", nil).problem(http.StatusNotFound, "not_found", "")
		p.at(other).do("DELETE", at+"/pay", nil).into(http.StatusNoContent, nil)
		allowed(0)
		if p.pays(a.Conversation); calls.Load() != 2 {
			t.Errorf("paid %d times", calls.Load())
		}
	})
}
