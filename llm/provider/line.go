package provider

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"syscall"
)

// A line is the connection that a stream comes on, as far as it can be kept
// quiet.
type line struct{ raw syscall.RawConn }

// watchLine notes the connection that a request is sent on.
func watchLine(ctx context.Context, l *line) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		*l = lineOf(info.Conn)
	}})
}

func lineOf(c net.Conn) (l line) {
	if t, ok := c.(*tls.Conn); ok {
		if t.ConnectionState().NegotiatedProtocol == "h2" { // others' streams come on it, too
			return line{}
		}
		c = t.NetConn()
	}
	if s, ok := c.(syscall.Conn); ok {
		l.raw, _ = s.SyscallConn() // without it every piece wakes the process
	}
	return l
}

// quietly does something during which nobody reads: what comes meanwhile does
// not wake the process for each piece, unless it is much.
func (l line) quietly(do func()) {
	if l.raw == nil {
		do()
		return
	}
	setLowWater(l.raw, maxTaken)
	defer setLowWater(l.raw, 1)
	do()
}
