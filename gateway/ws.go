package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime/debug"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"parley/gateway/chat"
)

// subprotocol is the version of the frames.
const subprotocol = "parley.v1"

// webSocket takes a connection over. The handler returns; the connection
// lives on in its reader.
func (s *Server) webSocket(c echo.Context) error {
	p := who(c)
	if err := s.conns.reserve(p.Owner); err != nil {
		return err
	}
	h := &hijacker{ResponseWriter: c.Response().Writer}
	ws, err := websocket.Accept(h, c.Request(), &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // the origin was checked, with the operator's list, before
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		s.conns.unreserve(p.Owner)
		return nil // Accept has answered
	}
	c.Response().Committed = true
	ws.SetReadLimit(int64(s.Limits.Frame))
	conn := newConn(s, ws, h.wire, p)
	s.conns.add(conn)
	if s.ctx.Err() != nil { // nobody would end it any more
		conn.stop()
	}
	s.wg.Go(conn.read)
	return nil
}

// read carries out one frame after the other until the connection ends.
func (c *conn) read() {
	defer c.end()
	defer c.dropUploads()
	defer c.contain("")
	limit := rate.NewLimiter(rate.Limit(c.s.Limits.Commands), c.s.Limits.Burst)
	for c.room() { // before anything is read: every frame has an answer, of those that say no too
		kind, b, err := c.ws.Read(context.Background())
		if err != nil {
			c.readFailed(err)
			return
		}
		allowed := kind == websocket.MessageBinary || limit.Allow() // bytes are written before more are read
		apart(func() { c.frame(kind, b, allowed) })
	}
}

// apart runs f on a goroutine of its own, to its end: the stack that it needs
// goes with it. The reader's, which stays as long as the connection, would
// stay twice as large.
func apart(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// frame carries out one frame.
func (c *conn) frame(kind websocket.MessageType, b []byte, allowed bool) {
	defer c.contain("")
	if kind == websocket.MessageBinary {
		c.binaryFrame(c.ctx, b)
		return
	}
	cmd, p := decodeFrame(kind, b)
	if p == nil && !allowed {
		p = problem(http.StatusTooManyRequests, codeLimited, "%d commands a second are allowed. Wait a little.", c.s.Limits.Commands).after(time.Second)
	}
	if p != nil {
		c.send(encode(reply{Type: frameErr, ID: cmd.ID, Problem: p}))
		return
	}
	c.command(cmd)
}

// decodeFrame reads a command. Of a frame that cannot be read not even the id
// is known.
func decodeFrame(kind websocket.MessageType, b []byte) (cmd command, p *Problem) {
	if kind != websocket.MessageText || !utf8.Valid(b) {
		return command{}, problem(http.StatusBadRequest, codeBadFrame, "Frames are JSON text in UTF-8.")
	}
	if err := json.Unmarshal(b, &cmd); err != nil {
		return command{}, badFrame(err)
	}
	cmd.ID = cmd.ID[:min(len(cmd.ID), maxID)]
	return cmd, nil
}

// maxID is how much of a command's id comes back.
const maxID = 64

// contain keeps a fault of ours to the command that it happened in, or to the
// connection if that has no id. It is deferred.
func (c *conn) contain(command string) {
	p := recover()
	if p == nil {
		return
	}
	c.s.log.Error("panic", "panic", p, "stack", string(debug.Stack()))
	if command == "" {
		c.stop()
		return
	}
	c.send(encode(reply{Type: frameErr, ID: command, Problem: internal()}))
}

func badFrame(err error) *Problem {
	p := *jsonProblem(err)
	p.Code, p.Type = codeBadFrame, "about:blank#"+codeBadFrame
	return &p
}

// readFailed says why, where the client can still hear it.
func (c *conn) readFailed(err error) {
	if errors.Is(err, websocket.ErrMessageTooBig) {
		_ = c.ws.Close(websocket.StatusMessageTooBig, "frames have at most the bytes that welcome says")
	}
}

func (c *conn) command(cmd command) {
	defer c.contain(cmd.ID)
	switch cmd.Type {
	case "hello":
		c.send(encode(c.welcome(cmd)))
	case "sub":
		c.subscribe(cmd)
	case "upload.begin", "upload.end":
		c.uploadCommand(cmd)
	case "unsub":
		c.unsubscribe(cmd.C)
		c.send(encode(reply{Type: frameOK, ID: cmd.ID, C: cmd.C}))
	default:
		ctx, done := c.within(30 * time.Second)
		defer done()
		c.send(encode(c.s.execute(ctx, c.who, cmd)))
	}
}

func (c *conn) welcome(cmd command) welcome {
	return welcome{
		Type: frameWelcome, ID: cmd.ID, Session: c.session, Server: "parley", Build: c.s.Info.Build,
		MaxFrame: c.s.Limits.Frame, MaxMessage: c.s.Limits.Message,
		PingMs: beatIdle.Milliseconds(), ResumeMs: resumeFor.Milliseconds(),
	}
}

// resumeFor is how long a client that was away can expect to go on behind its
// position instead of getting a snapshot.
const resumeFor = 10 * time.Minute

func (c *conn) subscribe(cmd command) {
	refuse := func(p *Problem) { c.send(encode(reply{Type: frameErr, ID: cmd.ID, C: cmd.C, Problem: p})) }
	ctx, done := c.within(30 * time.Second)
	defer done()
	if _, err := c.s.owned(ctx, c.who, cmd.C); err != nil {
		refuse(c.s.explain(err, "command sub"))
		return
	}
	at, err := chat.ParsePosition(cmd.After)
	if err != nil {
		refuse(c.s.explain(err, "command sub"))
		return
	}
	c.unsubscribe(cmd.C)
	if !c.follow(cmd, at) {
		refuse(problem(http.StatusTooManyRequests, codeTooMany, "One connection follows at most %d conversations. Leave one with unsub.", c.s.Limits.Follows))
	}
}
