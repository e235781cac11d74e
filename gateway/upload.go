package gateway

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"time"

	"parley/gateway/chat"
)

// maxUploads is how many uploads one connection has under way at most.
const maxUploads = 4

// refBytes is how long the number of the upload is that a binary frame begins
// with: its bytes follow.
const refBytes = 4

// uploads are the files that come over one connection. They are owned by its
// reader, and gone with it unless they were ended.
type uploads struct {
	open map[uint32]*wsUpload
	last uint32
}

// A wsUpload is an upload over a WebSocket.
type wsUpload struct {
	*upload
	begun time.Time
	id    string   // of the command that began it
	fault *Problem // the upload failed and was told of it; what still comes is skipped
}

// parseBinary splits a binary frame.
func parseBinary(b []byte) (ref uint32, data []byte, ok bool) {
	if len(b) < refBytes {
		return 0, nil, false
	}
	return binary.BigEndian.Uint32(b), b[refBytes:], true
}

// beginUpload answers upload.begin with the number that binary frames carry.
func (c *conn) beginUpload(ctx context.Context, cmd command) (reply, error) {
	u := &c.uploads
	if len(u.open) >= maxUploads {
		return reply{}, problem(http.StatusTooManyRequests, codeTooMany, "%d uploads are under way on this connection. End one first.", maxUploads)
	}
	if cmd.Size <= 0 {
		return reply{}, problem(http.StatusBadRequest, codeBadRequest, "An upload.begin needs the size in bytes.").in("size")
	}
	if err := c.s.checkUpload(ctx, c.who); err != nil {
		return reply{}, err
	}
	up, err := c.s.Files.begin(ctx, c.who.Owner, "", cmd.ClientID, cmd.Name, cmd.Mime, cmd.Size)
	if errors.Is(err, chat.ErrTaken) {
		f, err := c.s.Files.store.FileOf(ctx, c.who.Owner, cmd.ClientID)
		if err != nil {
			return reply{}, err
		}
		return reply{FileID: f.ID, URL: uploadedOf(f).URL}, nil
	}
	if err != nil {
		return reply{}, err
	}
	if u.open == nil {
		u.open = map[uint32]*wsUpload{}
	}
	u.last++
	u.open[u.last] = &wsUpload{upload: up, begun: time.Now(), id: cmd.ID}
	return reply{Ref: u.last}, nil
}

// binaryFrame takes the next bytes of an upload. It answers only if that
// fails, and once: to the command that began the upload.
func (c *conn) binaryFrame(ctx context.Context, b []byte) {
	ref, data, ok := parseBinary(b)
	if !ok {
		c.send(encode(reply{Type: frameErr, Problem: problem(http.StatusBadRequest, codeBadFrame, "A binary frame begins with the four bytes of an upload's ref.")}))
		return
	}
	up := c.uploads.open[ref]
	if up == nil {
		c.send(encode(reply{Type: frameErr, Ref: ref, Problem: problem(http.StatusNotFound, codeNotFound, "There is no upload with ref %d on this connection. Begin one with upload.begin.", ref)}))
		return
	}
	if up.fault != nil {
		return
	}
	err := up.late(c.s.Files.o.Upload)
	if err == nil {
		err = up.write(ctx, data)
	}
	if err != nil {
		up.abort(ctx)
		up.fault = c.s.explain(err, "upload")
		c.send(encode(reply{Type: frameErr, ID: up.id, Ref: ref, Problem: up.fault}))
	}
}

func (u *wsUpload) late(most time.Duration) error {
	if time.Since(u.begun) > most {
		return problem(http.StatusRequestTimeout, codeBadRequest, "The upload took longer than %v. Begin it again.", most)
	}
	return nil
}

// endUpload answers upload.end with the file.
func (c *conn) endUpload(ctx context.Context, cmd command) (reply, error) {
	up := c.uploads.open[cmd.Ref]
	if up == nil {
		return reply{}, problem(http.StatusNotFound, codeNotFound, "There is no upload with ref %d on this connection. Begin one with upload.begin.", cmd.Ref).in("ref")
	}
	delete(c.uploads.open, cmd.Ref)
	if up.fault != nil {
		return reply{}, up.fault
	}
	f, err := up.finish(ctx, cmd.SHA256)
	if err != nil {
		return reply{}, err
	}
	return reply{Ref: cmd.Ref, FileID: f.ID, URL: uploadedOf(f).URL}, nil
}

// dropUploads removes what was not ended.
func (c *conn) dropUploads() {
	for _, up := range c.uploads.open {
		if up.fault == nil {
			up.abort(context.Background())
		}
	}
	c.uploads.open = nil
}

// uploadCommand carries out the commands that belong to a connection's
// uploads.
func (c *conn) uploadCommand(cmd command) {
	ctx, cancel := context.WithTimeout(c.ctx, 30*time.Second)
	defer cancel()
	do := c.beginUpload
	if cmd.Type == "upload.end" {
		do = c.endUpload
	}
	r, err := do(ctx, cmd)
	r.Type = frameOK
	if err != nil {
		r = reply{Type: frameErr, Ref: cmd.Ref, Problem: c.s.explain(err, "command "+cmd.Type)}
	}
	r.ID = cmd.ID
	c.send(encode(r))
}
