package gateway

import (
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// No replica runs here: half a day of its looks around would take a minute.
func TestAnOwnersCookieLastsHalfADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &Identity{AdminToken: "token", CookieKey: []byte("key")}
		w := httptest.NewRecorder()
		if _, ok := i.openOwner(w, httptest.NewRequest("POST", "/v1/session", nil), "token"); !ok {
			t.Fatal("the token opens nothing")
		}
		r := httptest.NewRequest("GET", "/v1/tools", nil)
		r.AddCookie(w.Result().Cookies()[0])
		time.Sleep(12*time.Hour - time.Second)
		if _, ok := i.ownerUntil(r); !ok {
			t.Error("it is over too early")
		}
		time.Sleep(time.Second)
		if _, ok := i.ownerUntil(r); ok {
			t.Error("it is not over")
		}
	})
}
