package store

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"parley/gateway/chat"
)

// A server that was stopped has no socket. That is not to be taken for a
// conversation that was deleted.
func TestAbsentServerIsNoAbsentConversation(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.ENOENT)}
	err := wrap("conversation c1", fmt.Errorf("the server cannot be reached: %w", dial))
	if errors.Is(err, chat.ErrNotFound) || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("%v, taken for one that is not there: %v", err, errors.Is(err, chat.ErrNotFound))
	}
	if err := wrap("conversation c1", chat.ErrNotFound); !errors.Is(err, chat.ErrNotFound) {
		t.Error(err)
	}
}
