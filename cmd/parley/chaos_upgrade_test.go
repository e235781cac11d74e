//go:build integration && unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/cmd/parley/chaos"
	"parley/cmd/parley/client"
	"parley/gateway/chat"
)

const chaosFuture chat.Type = "conversation.future"

// chaosNextVersion builds a Parley of a later version: it begins each run with
// an entry of a type that the present one does not know.
func chaosNextVersion(t *testing.T) string {
	t.Helper()
	source, err := filepath.Abs("../../gateway/run/answer.go")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	const head = "func (a *answer) announce(known, going bool) {\n"
	text := strings.Replace(string(b), head, head+"\ta.w.put(chat.Event{Type: \""+string(chaosFuture)+"\", Title: \"of a later version\"})\n", 1)
	if text == string(b) {
		t.Fatalf("%s has no line %q", source, head)
	}
	dir := t.TempDir()
	patched, overlay := filepath.Join(dir, "answer.go"), filepath.Join(dir, "overlay.json")
	list, _ := json.Marshal(map[string]any{"Replace": map[string]string{source: patched}})
	for file, content := range map[string]string{patched: text, overlay: string(list)} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return chaosBuild(t, ".", "-overlay", overlay)
}

// chaosLastRelease builds the latest version that has a tag, if there is one.
func chaosLastRelease(t *testing.T) (path string, ok bool) {
	t.Helper()
	tag, err := exec.Command("git", "describe", "--tags", "--abbrev=0").Output()
	if err != nil {
		return "", false
	}
	dir := t.TempDir()
	archive := exec.Command("sh", "-c", `git -C "$(git rev-parse --show-toplevel)" archive "$0" | tar -x -C "$1"`, strings.TrimSpace(string(tag)), dir)
	if out, err := archive.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("the last release is %s", tag)
	return chaosBuild(t, filepath.Join(dir, "cmd/parley")), true
}

func chaosBuild(t *testing.T, in string, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "parley")
	cmd := exec.Command("go", slices.Concat([]string{"build", "-o", path}, flags, []string{"."})...)
	cmd.Dir = in
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// Replicas of two versions share conversations: either takes over what the
// other began, and skips what it does not know.
func TestChaosUpgrade(t *testing.T) {
	t.Parallel()
	t.Run("to the next version", func(t *testing.T) {
		testUpgrade(t, procProgram(t), chaosNextVersion(t), true)
	})
	if old, ok := chaosLastRelease(t); ok {
		t.Run("from the last release", func(t *testing.T) { testUpgrade(t, old, procProgram(t), false) })
	}
}

func testUpgrade(t *testing.T, older, newer string, future bool) {
	redis, model := procStartRedis(t), chaosModel(t)
	env := append(procModelEnv(model), "PARLEY_REDIS="+redis.url(), "PARLEY_STORE="+filepath.Join(t.TempDir(), "parley.db"), "PARLEY_MESSAGES_PER_ADDRESS=100000")
	version := func(name, program string) *procServer {
		s := procNew(t, name, env...)
		s.wrap = []string{"sh", "-c", `exec "$0" serve`, program}
		s.start()
		return s
	}
	old, next := version("older", older), version("newer", newer)
	u := &chaosUpgrade{t: t, doors: []*url.URL{chaosURL(t, old.url), chaosURL(t, next.url)}}
	restarted := func(s *procServer, sig syscall.Signal) func() {
		return func() {
			s.signal(sig)
			<-s.exited
			s.start()
		}
	}
	u.step("the newer takes over from the older", 0, restarted(old, syscall.SIGKILL))
	u.step("the older takes over from the newer", 1, restarted(next, syscall.SIGKILL))
	u.step("the older is drained", 0, restarted(old, syscall.SIGTERM))
	u.step("the newer is drained", 1, restarted(next, syscall.SIGTERM))
	if future && u.strange == 0 {
		t.Errorf("no follower on the older version was given %s", chaosFuture)
	}
}

// A chaosUpgrade is a deployment of two versions.
type chaosUpgrade struct {
	t       *testing.T
	doors   []*url.URL // the older's and the newer's
	strange int        // followers on the older who were given what it does not know
}

// step has answers begun through one door when something happens. All come to
// their end.
func (u *chaosUpgrade) step(name string, door int, happen func()) {
	u.t.Helper()
	var all sync.WaitGroup
	talks := make([]*chaos.Talk, 4)
	for i := range talks {
		all.Go(func() { talks[i] = u.begin(fmt.Sprint(name[:5], i), door, i) })
	}
	all.Wait()
	since := time.Now()
	happen()
	row := &chaos.Row{Fault: name}
	ctx, cancel := context.WithTimeout(u.t.Context(), chaosPatience)
	defer cancel()
	for _, talk := range talks {
		if talk == nil {
			return // begin has said why
		}
		for _, wrong := range talk.Settle(ctx, chaosExpect).Wrong {
			u.t.Errorf("%s: %s\n%s", name, wrong, talk.Tell())
		}
		talk.End()
		if strings.Contains(talk.Followers[0].Tell(), string(chaosFuture)) {
			u.strange++
		}
		row.Take(talk, chaos.Verdict{})
		if took, ok := talk.TakenOver(since); ok {
			row.Takeovers = append(row.Takeovers, took)
		}
	}
	u.t.Logf("%s: taken over after %s ms, longest silence %v", name, chaos.Spread(row.Takeovers), row.Silence.Round(time.Millisecond))
	if len(row.Takeovers) == 0 {
		u.t.Errorf("%s: nothing was taken over", name)
	}
}

// begin asks something through a door, and returns when its answer is under
// way. Two follow it through each door.
func (u *chaosUpgrade) begin(name string, door, i int) *chaos.Talk {
	talk := &chaos.Talk{}
	p, err := chaos.NewPerson(u.t.Context(), u.doors, "", chaos.NewDice(uint64(door), uint64(i)))
	if err != nil {
		u.t.Error(err)
		return nil
	}
	writer := &chaos.Person{Doors: p.Doors[door : door+1], Dice: p.Dice}
	q, err := writer.Ask(u.t.Context(), "", chaosPlain+strings.ReplaceAll(name, " ", ""))
	if err != nil {
		u.t.Error(err)
		return nil
	}
	talk.Person = p
	talk.Remember(q)
	for d := range u.doors {
		talk.Follow(&chaos.Follower{Name: fmt.Sprint("WebSocket to ", d), Way: (*chaos.Follower).ByWebSocket, Doors: p.Doors[d : d+1], Judge: chaosJudge})
		talk.Follow(&chaos.Follower{Name: fmt.Sprint("SSE to ", d), Way: (*chaos.Follower).ByStream, Doors: p.Doors[d : d+1], Judge: chaosJudge})
	}
	for talk.Followers[0].Position().N < 10 && client.Pause(u.t.Context(), 5*time.Millisecond) {
	}
	return talk
}
