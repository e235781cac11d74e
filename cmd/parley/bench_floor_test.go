//go:build integration

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// floorEnv makes this binary the floor instead of running tests: what is the
// least that a Go program spends on frames, with coder/websocket and nothing
// else. Its value is the size of a frame in bytes, the time between two of an
// answer's frames, and the followers of each answer.
const floorEnv = "PARLEY_BENCH_FLOOR"

func TestMain(m *testing.M) {
	if v := os.Getenv(floorEnv); v != "" {
		floorMain(v)
	}
	os.Exit(m.Run())
}

// A floor is a server that writes to whoever connects.
type floor struct {
	frame     []byte
	every     time.Duration
	followers int

	mu   sync.Mutex
	some []*websocket.Conn // of the answer whose followers are yet to come
}

func floorMain(v string) {
	fields := strings.Fields(v)
	size, _ := strconv.Atoi(fields[0])
	every, _ := time.ParseDuration(fields[1])
	followers, _ := strconv.Atoi(fields[2])
	f := &floor{frame: bytes.Repeat([]byte("x"), size), every: every, followers: followers}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("http://" + ln.Addr().String())
	panic(http.Serve(ln, f))
}

// ServeHTTP takes a follower. With enough of them an answer begins, which has
// a goroutine and a clock, as answers that come from a model have.
func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"parley.v1"}})
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.some = append(f.some, ws); len(f.some) == f.followers {
		go f.answer(f.some)
		f.some = nil
	}
}

func (f *floor) answer(followers []*websocket.Conn) {
	for range time.Tick(f.every) {
		for _, ws := range followers {
			if ws.Write(context.Background(), websocket.MessageText, f.frame) != nil {
				return
			}
		}
	}
}

// benchFloor returns the floor's CPU time for a frame, at the size and the
// rate of what the gateway wrote.
func benchFloor(b *testing.B, answers, each, size int, every, window time.Duration) time.Duration {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %v %d", floorEnv, size, every, each))
	p, url := benchStart(b, cmd)
	defer p.stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	t := &benchTally{}
	for range answers * each {
		ws, err := benchDial(ctx, url)
		if err != nil {
			b.Fatal(err)
		}
		readers.Go(func() {
			for {
				if _, _, err := ws.Read(ctx); err != nil {
					return
				}
				t.frames.Add(1)
			}
		})
	}
	time.Sleep(time.Second / 2)
	frames, cpu := t.frames.Load(), p.cpu()
	time.Sleep(window)
	frames, cpu = t.frames.Load()-frames, p.cpu()-cpu
	return cpu / time.Duration(max(1, frames))
}
