package store

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"parley/gateway/chat"
	"parley/llm"
)

// childEnv makes a process out of this test binary that accepts and answers
// questions in the store at that path. It prints a line for each that was
// acknowledged: its number, and whether it was fresh.
const (
	childEnv = "PARLEY_TEST_STORE"
	countEnv = "PARLEY_TEST_COUNT"
)

func TestMain(m *testing.M) {
	path := os.Getenv(childEnv)
	if path == "" {
		os.Exit(m.Run())
	}
	n, _ := strconv.Atoi(os.Getenv(countEnv))
	if err := child(context.Background(), path, n); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func child(ctx context.Context, path string, n int) error {
	db, err := Open(ctx, path, nil)
	if err != nil {
		return err
	}
	for i := range n {
		_, fresh, err := db.Accept(ctx, question("c1", i))
		if err != nil {
			return err
		}
		if err := db.Claimed(ctx, "c1", 1, "nonce"); err != nil {
			return err
		}
		if err := db.Archive(ctx, "c1", 1, batch("c1", i)); err != nil {
			return err
		}
		fmt.Println(i, fresh)
	}
	return db.Close()
}

// batch is the question of that number with its answer.
func batch(conv string, i int) chat.Batch {
	q := question(conv, i)
	a := llm.Message{
		ID: "a" + q.Message.ID, Role: llm.Assistant, Content: strings.Repeat("answer ", 300),
		Metadata: &llm.Metadata{Parley: llm.Details{Run: q.Run}},
	}
	return chat.Batch{Messages: []llm.Message{q.Message, a}, Run: &chat.RunRecord{ID: q.Run, Status: chat.RunDone}}
}

func start(t *testing.T, path string, n int) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childEnv+"="+path, countEnv+"="+strconv.Itoa(n))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// answers counts the archived messages, all pages of them.
func answers(t *testing.T, db *DB) (n int) {
	t.Helper()
	for before := ""; ; {
		ms, next, err := db.History(t.Context(), "c1", before, 0)
		if err != nil {
			t.Fatal(err)
		}
		n += len(ms)
		if before = next; next == "" {
			return n
		}
	}
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "parley.db")
	const rounds, lines = 4, 40
	acknowledged := 0
	for range rounds {
		cmd, out := start(t, path, 1<<20)
		for range acknowledged + lines {
			if !out.Scan() {
				t.Fatal("the child ended by itself")
			}
			if line := out.Text(); !strings.HasSuffix(line, "true") && !strings.HasSuffix(line, "false") {
				t.Fatal(line)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for out.Scan() { // acknowledged while we killed it
			acknowledged++
		}
		acknowledged += lines
		cmd.Wait() // it says that it was killed

		db, err := Open(t.Context(), path, testVault(t))
		if err != nil {
			t.Fatal(err)
		}
		if n := answers(t, db); n < 2*acknowledged {
			t.Errorf("%d messages of %d are there", n, 2*acknowledged)
		}
		for i := range acknowledged {
			r, err := db.RunRecord(t.Context(), question("c1", i).Run)
			if err != nil || r.Status != chat.RunDone {
				t.Fatalf("question %d: %v, %v", i, r.Status, err)
			}
		}
		if got := pragma(t, db, "integrity_check"); got != "ok" {
			t.Error(got)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Three processes make the file at the same time and then ask the same
// questions.
func TestProcessesShareAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "parley.db")
	const processes, questions = 3, 50
	var cmds []*exec.Cmd
	var outs []*bufio.Scanner
	for range processes {
		cmd, out := start(t, path, questions)
		cmds, outs = append(cmds, cmd), append(outs, out)
	}
	fresh := 0
	for i, out := range outs {
		for out.Scan() {
			if strings.HasSuffix(out.Text(), "true") {
				fresh++
			} else if !strings.HasSuffix(out.Text(), "false") {
				t.Error(out.Text())
			}
		}
		if err := cmds[i].Wait(); err != nil {
			t.Errorf("process %d: %v", i, err)
		}
	}
	if fresh != questions {
		t.Errorf("%d questions are fresh, not %d", fresh, questions)
	}
	if n := answers(t, open(t, path)); n != 2*questions {
		t.Errorf("%d messages, not %d", n, 2*questions)
	}
}
