package provider

import "syscall"

// setLowWater has the kernel tell of data on a connection only when there are
// n bytes of it.
func setLowWater(raw syscall.RawConn, n int) {
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, n)
	})
}
