//go:build !linux

package provider

import "syscall"

// setLowWater does nothing: here the kernel cannot be asked.
func setLowWater(syscall.RawConn, int) {}
