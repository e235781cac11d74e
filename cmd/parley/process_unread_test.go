//go:build integration && unix

package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A request that is refused may be sent to its end, however much it brings:
// balancers take a connection that is reset for a replica that is away.
func TestRefusedRequestsAreReadToTheirEnd(t *testing.T) {
	t.Parallel()
	s := procServe(t)
	large := strings.Repeat("x", 20<<20)
	for path, want := range map[string]int{
		"/v1/conversations/new/messages": http.StatusRequestEntityTooLarge,
		"/v1/documents":                  http.StatusUnauthorized,
		"/v1/nowhere":                    http.StatusNotFound,
	} {
		for _, connection := range []string{"close", "keep-alive"} {
			host := strings.TrimPrefix(s.url, "http://")
			c, err := net.Dial("tcp", host)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nConnection: %s\r\nContent-Length: %d\r\n\r\n%s", path, host, connection, len(large), large); err != nil {
				t.Errorf("%s, %s: %v", path, connection, err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || resp.StatusCode != want {
				t.Errorf("%s, %s: %v, %v", path, connection, resp, err)
			}
			_ = c.Close()
		}
	}
}
