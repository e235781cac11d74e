package mcp

import (
	"errors"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"parley/tools"
)

// wordy is what the SDK puts before a reason.
var wordy = regexp.MustCompile(`(?:calling|sending) "[a-z/]+": |rejected by transport: |connection closed: |client is closing: |server is closing: `)

// reason says in one line why something with a server failed, for people and
// models. It shows no secret and no address.
func (l *link) reason(err error) string {
	var network *url.Error
	if wire := told(err); wire != nil && wire.Message != "" {
		return line(l.redactor.Replace(wire.Message), 300)
	}
	text := tools.Reason(err)
	if errors.As(err, &network) || text != tools.Reason(errors.New("unknown")) {
		return text
	}
	return line(l.redactor.Replace(wordy.ReplaceAllString(err.Error(), "")), 300)
}

// told returns the error that came as an answer, nil if none did.
func told(err error) *jsonrpc.Error {
	var wire *jsonrpc.Error
	if errors.As(err, &wire) && wire.Code != codeRejected {
		return wire
	}
	return nil
}

// codeRejected is the code with which the SDK marks what its transport could
// not send.
const codeRejected = -32005

// refused reports whether the server itself said that it will not.
func refused(err error) bool {
	wire := told(err)
	return wire != nil && wire.Code != codeOurs
}

// notSent reports whether nothing can have reached the server.
func notSent(err error) bool {
	var (
		forbidden *tools.RefusedError
		dns       *net.DNSError
		op        *net.OpError
	)
	return errors.As(err, &forbidden) || errors.As(err, &dns) || errors.Is(err, syscall.ECONNREFUSED) ||
		errors.As(err, &op) && op.Op == "dial"
}

const shortestSecret = 4 // shorter values would blank out ordinary text

func redactor(secrets []string) *strings.Replacer {
	secrets = slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return len(s) < shortestSecret })
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range slices.Compact(secrets) {
		pairs = append(pairs, s, tools.Mask)
	}
	return strings.NewReplacer(pairs...)
}
