//go:build integration && linux

package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/llm"
)

// A procDisk is a small file system in memory.
type procDisk struct {
	seen string // its folder as the server sees it
	here func() string
	wrap []string // what the server is started with
}

const procDiskSize = "4m"

// procSmallDisk mounts one: as root here, otherwise in a user namespace of
// the server's own, where everybody is root.
func procSmallDisk(t *testing.T) *procDisk {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("none", dir, "tmpfs", 0, "size="+procDiskSize)
	if err == nil {
		t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
		return &procDisk{seen: dir, here: func() string { return dir }}
	}
	mount := `mount -t tmpfs -o size=` + procDiskSize + ` none "$0" && exec "$@"`
	if out, nerr := exec.Command("unshare", "-Urm", "sh", "-c", mount, dir, "true").CombinedOutput(); nerr != nil {
		t.Skipf("neither root nor a user namespace may mount a small disk here: %v, %v %s", err, nerr, out)
	}
	return &procDisk{seen: dir, wrap: []string{"unshare", "-Urm", "sh", "-c", mount, dir}}
}

// serve starts a server whose file is on the disk.
func (d *procDisk) serve(s *procServer) {
	s.wrap = d.wrap
	s.start()
	if d.wrap != nil {
		d.here = func() string { return filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), "root", d.seen) }
	}
}

// fill takes all but a little of the room, and returns what gives it back.
func (d *procDisk) fill(t *testing.T) (free func()) {
	t.Helper()
	path := filepath.Join(d.here(), "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := 0
	for block := make([]byte, 4<<10); ; size += len(block) {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(int64(size - 256<<10)); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

// A full disk refuses questions and loses none; with room again all is as
// before, without a restart.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := procSmallDisk(t)
	s := procNew(t, "parley", append(procModelEnv(procPuppet(t)), "PARLEY_STORE="+filepath.Join(disk.seen, "parley.db"))...)
	disk.serve(s)
	person := procGuest(t, s.url)
	first, status, err := person.say(t.Context(), s.url, "", "q0", "Hello", "20s")
	if err != nil || status != http.StatusOK || first.Status != "finished" {
		t.Fatalf("%d, %v, %+v", status, err, first)
	}
	conv, asked := first.Conversation, []procAnswered{first}
	free := disk.fill(t)
	filler := strings.Repeat("x", 20<<10)
	for i := 0; ; i++ {
		question := fmt.Sprintf("%d %s", i, filler)
		a, status, err := person.say(t.Context(), s.url, conv, fmt.Sprint("f", i), question, "5s")
		if err != nil {
			t.Fatal(err)
		}
		if status == http.StatusInsufficientStorage {
			if a.Code != "storage_full" || a.Detail == "" {
				t.Errorf("problem: %+v", a)
			}
			t.Logf("full after %d questions: %s", i, a.Detail)
			break
		}
		if status != http.StatusOK && status != http.StatusAccepted {
			t.Fatalf("question %d: status %d, %+v", i, status, a)
		}
		asked = append(asked, a)
		if i > 1000 {
			t.Fatal("the disk does not get full")
		}
	}
	if status, err := person.do(t.Context(), "GET", s.url+"/v1/conversations/"+conv+"/messages", nil, nil); err != nil || status != http.StatusOK {
		t.Errorf("reading from a full disk: %d, %v", status, err)
	}
	free()
	var last procAnswered
	procUntil(t, 20*time.Second, "a question is taken again", func() bool {
		last, status, err = person.say(t.Context(), s.url, conv, "last", "And now?", "20s")
		return err == nil && status == http.StatusOK
	})
	if last.Status != "finished" || last.Answer == nil || last.Answer.Content != "Certainly: And now?" {
		t.Errorf("after making room: %+v", last)
	}
	asked = append(asked, last)
	// An answer that could not be kept is given again within half a minute,
	// if not at once: all that was taken is answered.
	procUntil(t, time.Minute, "every question has its answer", func() bool {
		all := person.messages(t, s.url, conv)
		return !slices.ContainsFunc(asked, func(a procAnswered) bool { return procCount(all, a.Run) == 0 })
	})
	if disk.wrap == nil { // otherwise the disk ends with the process
		s.kill()
		s.start()
	}
	all, order := person.messages(t, s.url, conv), []string{}
	for _, m := range all {
		if m.Role == llm.User {
			order = append(order, m.ID)
		}
	}
	var want []string
	for _, a := range asked {
		want = append(want, a.MessageID)
		if n := procCount(all, a.Run); n != 1 {
			t.Errorf("%d answers in run %s", n, a.Run)
		}
	}
	if !slices.Equal(order, want) {
		t.Errorf("the questions are %q, taken were %q", order, want)
	}
	if t.Failed() {
		for _, m := range all {
			t.Logf("%s %s %.20s", m.Role, m.ID, m.Content)
		}
	}
}

// procCount counts what the assistant says in a run.
func procCount(all []llm.Message, run string) (n int) {
	for _, m := range all {
		if m.Role == llm.Assistant && m.Metadata != nil && m.Metadata.Parley.Run == run {
			n++
		}
	}
	return n
}
