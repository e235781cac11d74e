//go:build integration && unix

package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"parley/gateway/store/storetest"
)

// A server on a file answers, its store moves to PostgreSQL, and two replicas
// go on there with the same conversation.
func TestStoreMovesToPostgres(t *testing.T) {
	cluster := storetest.StartCluster(t)
	address := cluster.Database(t, "parley", "")
	file := t.TempDir() + "/parley.db"

	model := procModel(t, 5, time.Millisecond)
	old := procServe(t, append(procModelEnv(model), "PARLEY_STORE="+file)...)
	person := procGuest(t, old.url)
	first, err := person.insist(t.Context(), &procFleet{rand: procSeeded(t), nodes: []*procServer{old}}, "", "client1", "Q1")
	if err != nil {
		t.Fatal(err)
	}
	copyStore := func() (string, error) {
		cmd := exec.Command(procProgram(t), "store", "copy", file, address)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	procUntil(t, 10*time.Second, "the first answer", func() bool { return len(person.messages(t, old.url, first.Conversation)) == 2 })
	old.kill()
	if out, err := copyStore(); err != nil || !strings.Contains(out, "must be stopped") || !strings.Contains(out, "rows copied") {
		t.Fatal(out, err)
	}
	if out, err := copyStore(); err == nil || !strings.Contains(out, "must be empty") {
		t.Error("copied twice:", out)
	}

	redis := procStartRedis(t)
	fleet := &procFleet{}
	for _, name := range []string{"replica 0", "replica 1"} {
		s := procNew(t, name, append(procModelEnv(model), "PARLEY_REDIS="+redis.url(), "PARLEY_STORE="+address)...)
		s.start()
		fleet.nodes = append(fleet.nodes, s)
	}
	if _, err := person.insist(t.Context(), &procFleet{rand: procSeeded(t), nodes: fleet.nodes[:1]}, first.Conversation, "client2", "Q2"); err != nil {
		t.Fatal(err)
	}
	for _, s := range fleet.nodes {
		procUntil(t, 10*time.Second, "both answers on "+s.name, func() bool { return len(person.messages(t, s.url, first.Conversation)) == 4 })
	}
	redis.kill() // the store alone knows it now
	redis.start()
	for _, s := range fleet.nodes {
		if n := len(person.messages(t, s.url, first.Conversation)); n != 4 {
			t.Errorf("%s has %d messages", s.name, n)
		}
	}
}
