package main

import (
	"os"

	"github.com/mattn/go-isatty"
)

// isTerminal reports whether v is a terminal, where somebody looks on.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && (isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()))
}
