package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"parley/tools"
)

func TestTheUseOfToolsIsCountedOnAllReplicas(t *testing.T) {
	inBubble(t, useShop, func(w *world) {
		w.shop()
		g, other := w.gate(), w.gate()
		admin := w.admin(g)
		admin.do("PUT", "/v1/tools/get_order", shopTool()).into(http.StatusOK, nil)
		stats := func() tools.Use {
			var list struct {
				Tools []struct {
					Name  string
					Stats *tools.Use
				}
			}
			admin.get("/v1/tools").into(http.StatusOK, &list)
			if len(list.Tools) != 1 || list.Tools[0].Stats == nil {
				t.Fatalf("the list is %+v", list)
			}
			return *list.Tools[0].Stats
		}
		if use := stats(); use != (tools.Use{}) {
			t.Errorf("before any call: %+v", use)
		}
		w.guest(g).say("new", "order?")
		for range 2 {
			admin.at(other).do("POST", "/v1/tools/get_order/call", object{"arguments": object{}}).into(http.StatusOK, nil)
		}
		time.Sleep(2 * time.Second)
		if use := stats(); use.Calls != 3 || use.Failed != 2 || use.Cached != 0 {
			t.Errorf("after three: %+v", use)
		}
		var series tools.UseSeries
		admin.at(other).get("/v1/tools/get_order/stats").into(http.StatusOK, &series)
		if n := len(series.Hour); n != 60 || series.Hour[n-1].Calls+series.Hour[n-2].Calls != 3 || series.Day[95].Calls+series.Day[94].Calls != 3 {
			t.Errorf("the series is %+v", series)
		}
		admin.get("/v1/tools/none/stats").problem(http.StatusNotFound, "not_found", "")
	})
}
