package main

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

// A chaosFrame is any frame of a WebSocket and any event of SSE, as far as a
// follower uses it. Entries stay as they came, to be checked.
type chaosFrame struct {
	Type      string
	Recovered bool
	Head, At  chat.Position
	Snapshot  json.RawMessage
	Items     []json.RawMessage
	RetryMs   int64
	Problem   *client.Problem
}

// byWebSocket follows until the connection ends.
func (f *chaosFollower) byWebSocket(ctx context.Context, a *client.Client, at chat.Position) error {
	ws, err := chaosDial(ctx, a)
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
		fr, err := chaosRead(ctx, ws, f.patience())
		if err != nil {
			return err
		}
		if err := f.frame(ctx, fr); err != nil {
			return err
		}
	}
}

func chaosDial(ctx context.Context, a *client.Client) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, chaosTry)
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
func (f *chaosFollower) patience() time.Duration {
	if f.writing() {
		return client.SilenceActive
	}
	return client.SilenceIdle
}

func chaosRead(ctx context.Context, ws *websocket.Conn, patience time.Duration) (fr chaosFrame, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, b, err := ws.Read(ctx)
	if err == nil {
		err = json.Unmarshal(b, &fr)
	}
	return fr, err
}

func (f *chaosFollower) frame(ctx context.Context, fr chaosFrame) error {
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
		chaosPause(ctx, time.Duration(fr.RetryMs)*time.Millisecond)
		return errors.New("bye")
	case "err":
		return fmt.Errorf("refused: %w", fr.Problem)
	}
	return nil
}

// byStream follows over Server-Sent Events.
func (f *chaosFollower) byStream(ctx context.Context, a *client.Client, at chat.Position) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(chaosTry, cancel)
	defer quiet.Stop()
	resp, err := chaosStream(ctx, a, f.conv, at)
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

func chaosStream(ctx context.Context, a *client.Client, conv string, at chat.Position) (*http.Response, error) {
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
func (f *chaosFollower) event(event, id, data string) error {
	var fr chaosFrame
	if err := json.Unmarshal([]byte(data), &fr); err != nil {
		return err
	}
	if event == "entry" {
		f.entries(json.RawMessage(data))
	} else {
		f.snapshot(fr.At, fr.Snapshot)
	}
	if at := f.position().String(); id != at {
		f.mu.Lock()
		f.fail(fmt.Errorf("the event has the id %s and the position %s", id, at))
		f.mu.Unlock()
	}
	return nil
}

// byPoll follows by asking what is new, again and again.
func (f *chaosFollower) byPoll(ctx context.Context, a *client.Client, at chat.Position) error {
	for {
		f.stall(ctx)
		var fr chaosFrame
		try, cancel := context.WithTimeout(ctx, 2*chaosTry)
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
		if at = f.position(); at != fr.At {
			f.mu.Lock()
			f.fail(fmt.Errorf("the poll says %s, and leads to %s", fr.At, at))
			f.mu.Unlock()
		}
	}
}
