//go:build !linux

package pdf

// bound does nothing where a process cannot be held to an amount of memory.
func bound(uint64) {}
