package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"parley/cmd/parley/client"
	"parley/cmd/parley/plain"
)

// importLook is how often a server is asked how far an import is.
const importLook = 500 * time.Millisecond

// An importSeen is an import that the server goes on with by itself. An answer
// that is a report has no state.
type importSeen struct {
	ID, State        string
	Ahead, Count, Of int64
	Report           json.RawMessage
	Problem          *client.Problem
}

// startImport sends an import and returns its report, waiting as long as that
// takes.
func (t *toolbox) startImport(ctx context.Context, body map[string]any) (json.RawMessage, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	var raw json.RawMessage
	if err := t.api.Do(ctx, client.Request{Method: http.MethodPost, Path: "/v1/tools/import", Body: bytes.NewReader(b), Prefer: "respond-async, wait=1"}, &raw); err != nil {
		return nil, err
	}
	var seen importSeen
	if err := json.Unmarshal(raw, &seen); err != nil || seen.State == "" {
		return raw, nil // a report, whatever is in it
	}
	return t.followImport(ctx, seen)
}

// followImport shows how far an import is until its end. It is cancelled with
// ctx.
func (t *toolbox) followImport(ctx context.Context, seen importSeen) (json.RawMessage, error) {
	defer t.tellImport("")
	path := "/v1/tools/imports/" + seen.ID
	for {
		switch {
		case seen.State == "done":
			return seen.Report, nil
		case seen.Problem != nil:
			return nil, seen.Problem
		}
		t.tellImport(seen.String())
		select {
		case <-ctx.Done():
			return nil, t.cancelImport(ctx, path)
		case <-time.After(importLook):
		}
		seen = importSeen{ID: seen.ID}
		err := t.api.Get(ctx, path, nil, &seen)
		if ctx.Err() != nil {
			return nil, t.cancelImport(ctx, path)
		}
		if err != nil {
			return nil, fmt.Errorf("the import goes on, but cannot be followed: %w", err)
		}
	}
}

func (t *toolbox) cancelImport(ctx context.Context, path string) error {
	short, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	if err := t.api.Do(short, client.Request{Method: http.MethodDelete, Path: path}, nil); err != nil {
		return fmt.Errorf("the import goes on, since it could not be cancelled: %w", err)
	}
	return errors.New("the import was cancelled; tools that were registered by then are still there")
}

// tellImport writes over the line of progress, if somebody looks on.
func (t *toolbox) tellImport(line string) {
	if t.app.isTerminal(t.app.stderr) {
		fmt.Fprintf(t.app.stderr, "\r\x1b[K%s", line)
	}
}

func (s importSeen) String() string {
	switch {
	case s.State == "queued" && s.Ahead > 0:
		return fmt.Sprintf("waiting, %d before it", s.Ahead)
	case s.State == "fetching" && s.Of > 0:
		return fmt.Sprintf("fetching %.1f of %.1f MB", float64(s.Count)/1e6, float64(s.Of)/1e6)
	case s.State == "fetching":
		return fmt.Sprintf("fetching, %.1f MB", float64(s.Count)/1e6)
	case s.Of > 0:
		return fmt.Sprintf("%s %d of %d operations", plain.Text(s.State), s.Count, s.Of)
	}
	return plain.Text(s.State)
}
