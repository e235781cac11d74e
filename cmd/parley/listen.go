package main

import (
	"context"
	"fmt"
	"net"
)

// sendBuffer is what the kernel holds of a connection that does not read. Its
// own default lets megabytes vanish before a write blocks.
const sendBuffer = 128 << 10

// listen opens the address at which people and programs come in.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	lc := net.ListenConfig{Control: setSendBuffer}
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("PARLEY_ADDR: %w", err)
	}
	return ln, nil
}
