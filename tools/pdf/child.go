package pdf

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"time"
)

// exits are what a child ends with.
func exits() map[int]error {
	return map[int]error{10: ErrEncrypted, 11: ErrNoText, 12: ErrBroken, 13: ErrTooLarge}
}

// run has a child read one file. One that takes too long is ErrTooLong, and
// one whose child ends otherwise than it should is ErrBroken.
func (s *Shop) run(ctx context.Context, data []byte) (w Words, err error) {
	limits, err := json.Marshal(s.o.Limits)
	if err != nil {
		return w, fmt.Errorf("pdf: name the limits: %w", err)
	}
	within, cancel := context.WithTimeout(ctx, s.o.Limits.Time)
	defer cancel()
	args := append(append([]string(nil), s.o.Command[1:]...), string(limits))
	c := exec.CommandContext(within, s.o.Command[0], args...)
	c.Stdin, c.Env, c.WaitDelay = bytes.NewReader(data), []string{}, time.Second
	out, err := c.Output()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return w, ctx.Err()
	case within.Err() != nil:
		return w, ErrTooLong
	case errors.As(err, &exit):
		if why := exits()[exit.ExitCode()]; why != nil {
			return w, why
		}
		return w, ErrBroken
	case err != nil:
		return w, fmt.Errorf("pdf: start a reader: %w", err)
	}
	if err := json.Unmarshal(out, &w); err != nil {
		return w, fmt.Errorf("pdf: read a reader's answer: %w", err)
	}
	return w, nil
}

// Serve is a shop's child: it reads a PDF, writes its [Words] as JSON, and
// returns the code to exit with. The limits are [Limits] as JSON. It bounds
// the memory of its process, and ends it when nobody else does in time.
func Serve(ctx context.Context, limits string, in io.Reader, out io.Writer) (code int) {
	var l Limits
	if err := json.Unmarshal([]byte(limits), &l); err != nil {
		return 1
	}
	l = l.withDefaults()
	bound(uint64(l.Memory))
	debug.SetMemoryLimit(int64(l.Memory) / 4 * 3)
	defer time.AfterFunc(l.Time+time.Second, func() { os.Exit(1) }).Stop()
	data, err := io.ReadAll(io.LimitReader(in, int64(l.Bytes)+1))
	if err != nil {
		return 1
	}
	words, err := Text(ctx, data, l)
	for code, why := range exits() {
		if errors.Is(err, why) {
			return code
		}
	}
	if err != nil || json.NewEncoder(out).Encode(words) != nil {
		return 1
	}
	return 0
}
