package rag_test

import (
	"testing"

	"parley/tools/rag"
	"parley/tools/rag/ragtest"
)

func TestMemory(t *testing.T) {
	ragtest.Run(t, func(*testing.T) rag.Tables { return ragtest.NewMemory() })
}
