//go:build unix

package gateway

import "syscall"

// writeNow writes as much as the kernel takes at once.
func writeNow(raw syscall.RawConn, b []byte) (n int, err error) {
	failed := raw.Write(func(fd uintptr) bool {
		n, err = syscall.Write(int(fd), b)
		return true // it does not wait
	})
	if err == syscall.EAGAIN || err == syscall.EINTR {
		err = nil
	}
	if failed != nil {
		err = failed
	}
	return max(n, 0), err
}
