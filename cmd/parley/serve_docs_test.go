package main

import (
	"bytes"
	"os"
	"testing"
)

func TestOwnDocumentsAreTheProjects(t *testing.T) {
	for _, name := range []string{"README.md", "ARCHITECTURE.md"} {
		embedded, err := own.ReadFile("own/" + name)
		if err != nil {
			t.Fatal(err)
		}
		root, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(embedded, root) {
			t.Errorf("the embedded %s is another one: run cp README.md ARCHITECTURE.md cmd/parley/own/", name)
		}
	}
}
