//go:build !unix

package bench

import (
	"os/exec"
	"time"
)

func maxFiles() int { return 0 } // not known

func ownCPU() time.Duration { return 0 }

func apartFromTerminal(*exec.Cmd) {}
