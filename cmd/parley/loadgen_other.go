//go:build !unix

package main

import (
	"os/exec"
	"time"
)

func maxFiles() int { return 0 } // not known

func ownCPU() time.Duration { return 0 }

func apartFromTerminal(*exec.Cmd) {}
