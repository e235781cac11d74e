package pdf

import "syscall"

// bound has the process end when its data grow beyond the bytes.
func bound(bytes uint64) {
	_ = syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: bytes, Max: bytes})
}
