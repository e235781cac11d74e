package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"parley/cmd/parley/client"
	"parley/gateway/chat"
)

// A frame is any frame of a WebSocket and any event of SSE, as far as a
// follower uses it. Entries stay as they came, to be checked.
type frame struct {
	Type      string
	Recovered bool
	Head, At  chat.Position
	Snapshot  json.RawMessage
	Items     []json.RawMessage
	RetryMs   int64
	Problem   *client.Problem
}

// ByWebSocket follows until the connection ends.
func (f *Follower) ByWebSocket(ctx context.Context, a *client.Client, at chat.Position) error {
	ws, err := dial(ctx, a)
	if err != nil {
		return err
	}
	defer func() { _ = ws.CloseNow() }()
	sub := map[string]string{"type": "sub", "id": "1", "c": f.conv, "after": at.String()}
	if b, err := json.Marshal(sub); err != nil || ws.Write(ctx, websocket.MessageText, b) != nil {
		return errors.New("the sub could not be sent")
	}
	for {
		f.stall(ctx)
		fr, err := read(ctx, ws, f.patience())
		if err != nil {
			return err
		}
		if err := f.frame(ctx, fr); err != nil {
			return err
		}
	}
}

func dial(ctx context.Context, a *client.Client) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	header := http.Header{}
	a.Target.Authorize(header)
	ws, _, err := websocket.Dial(ctx, a.Target.URL.String()+"/v1/ws", &websocket.DialOptions{
		HTTPClient: a.HTTP, HTTPHeader: header, Subprotocols: []string{client.Subprotocol},
	})
	if err == nil {
		ws.SetReadLimit(client.ReadLimit)
	}
	return ws, err
}

// patience is after how much silence the follower dials again.
func (f *Follower) patience() time.Duration {
	if f.writing() {
		return client.SilenceActive
	}
	return client.SilenceIdle
}

func read(ctx context.Context, ws *websocket.Conn, patience time.Duration) (fr frame, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, b, err := ws.Read(ctx)
	if err == nil {
		err = json.Unmarshal(b, &fr)
	}
	return fr, err
}

func (f *Follower) frame(ctx context.Context, fr frame) error {
	switch fr.Type {
	case "sub.ok":
		if !fr.Recovered {
			f.snapshot(fr.At, fr.Snapshot)
		}
		f.back(fr.Head)
	case "snap":
		f.snapshot(fr.At, fr.Snapshot)
	case "ev":
		f.entries(fr.Items...)
	case "bye":
		client.Pause(ctx, time.Duration(fr.RetryMs)*time.Millisecond)
		return errors.New("bye")
	case "err":
		return fmt.Errorf("refused: %w", fr.Problem)
	}
	return nil
}

// ByStream follows over Server-Sent Events.
func (f *Follower) ByStream(ctx context.Context, a *client.Client, at chat.Position) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(tryTime, cancel)
	defer quiet.Stop()
	resp, err := openStream(ctx, a, f.conv, at)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	event, id := "", ""
	for lines := bufio.NewReader(resp.Body); ; {
		quiet.Reset(client.SilenceIdle) // a stream beats every 15 s
		f.stall(ctx)
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "event":
			event = value
		case "id":
			id = value
		case "data":
			if err := f.event(event, id, value); err != nil {
				return err
			}
		}
	}
}

func openStream(ctx context.Context, a *client.Client, conv string, at chat.Position) (*http.Response, error) {
	req, err := a.Build(ctx, client.Request{Method: http.MethodGet, Path: "/v1/conversations/" + conv + "/events"})
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	if !at.IsZero() {
		req.Header.Set("Last-Event-ID", at.String())
	}
	resp, err := a.HTTP.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, errors.New(resp.Status)
	}
	return resp, err
}

// event takes one event of a stream, whose id must be its position.
func (f *Follower) event(event, id, data string) error {
	var fr frame
	if err := json.Unmarshal([]byte(data), &fr); err != nil {
		return err
	}
	if event == "entry" {
		f.entries(json.RawMessage(data))
	} else {
		f.snapshot(fr.At, fr.Snapshot)
	}
	if at := f.Position().String(); id != at {
		f.mu.Lock()
		f.fail(fmt.Errorf("the event has the id %s and the position %s", id, at))
		f.mu.Unlock()
	}
	return nil
}

// ByPoll follows by asking what is new, again and again.
func (f *Follower) ByPoll(ctx context.Context, a *client.Client, at chat.Position) error {
	for {
		f.stall(ctx)
		var fr frame
		try, cancel := context.WithTimeout(ctx, 2*tryTime)
		err := a.Get(try, "/v1/conversations/"+f.conv+"/events", url.Values{"after": {at.String()}, "wait": {"3s"}}, &fr)
		cancel()
		if err != nil {
			return err
		}
		if fr.Snapshot != nil {
			f.snapshot(fr.At, fr.Snapshot)
		} else if len(fr.Items) > 0 {
			f.entries(fr.Items...)
		}
		if at = f.Position(); at != fr.At {
			f.mu.Lock()
			f.fail(fmt.Errorf("the poll says %s, and leads to %s", fr.At, at))
			f.mu.Unlock()
		}
	}
}
