package gateway

import (
	"encoding/json"
	"errors"
	"slices"

	"parley/gateway/chat"
)

// Routes returns every route as method and pattern.
func (s *Server) Routes() (all []string) {
	for _, r := range s.echo.Routes() {
		all = append(all, r.Method+" "+r.Path)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Merged is what a slow client is sent of entries, however few they are.
func Merged(es []chat.Encoded) []chat.Encoded { return mergedFrom(es, 0) }

// Verify reads a guest's cookie.
func (i *Identity) Verify(cookie string) (string, bool) { return i.verify(cookie) }

// Sign makes one.
func (i *Identity) Sign(id string) string { return i.sign(id) }

// MergePatch applies a merge patch to a JSON value.
func MergePatch(target, patch string) string {
	var t, p any
	if err := errors.Join(decodeExact([]byte(target), &t), decodeExact([]byte(patch), &p)); err != nil {
		return err.Error()
	}
	b, _ := json.Marshal(mergePatch(t, p))
	return string(b)
}
