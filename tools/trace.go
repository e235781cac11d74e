package tools

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// setTrace says which trace the request belongs to (W3C Trace Context): all
// requests of a run to one, each with a span of its own. A header that the
// endpoint declares stays as it is.
func setTrace(h http.Header, callID string) {
	if h.Get("Traceparent") == "" {
		h.Set("Traceparent", "00-"+traceID(callID)+"-"+spanID()+"-01")
	}
}

// traceID is the same for all calls of a run, whose name stands before the
// first dot of their ids, on whichever replica they are made.
func traceID(callID string) string {
	run, _, _ := strings.Cut(callID, ".")
	if run == "" {
		run = rand.Text()
	}
	sum := sha256.Sum256([]byte("parley trace " + run))
	return hex.EncodeToString(sum[:16])
}

func spanID() string {
	var b [8]byte
	for b == [8]byte{} { // which means none
		_, _ = rand.Read(b[:])
	}
	return hex.EncodeToString(b[:])
}
