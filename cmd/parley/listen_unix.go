//go:build unix

package main

import "syscall"

// setSendBuffer bounds the send buffer of every connection that the socket
// will accept.
func setSendBuffer(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, sendBuffer) // a wish
	})
}
