package e2e

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// balance listens and hands each connection to the first of the addresses that takes it, as what stands before replicas does.
func balance(t *testing.T, addresses ...string) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &balancer{addresses: addresses, open: map[net.Conn]bool{}}
	b.running.Go(func() { b.serve(listener) })
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		b.closeAll()
		b.running.Wait()
	})
	return listener.Addr().String()
}

type balancer struct {
	addresses []string
	running   sync.WaitGroup

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
}

func (b *balancer) serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		b.running.Go(func() { b.forward(conn) })
	}
}

func (b *balancer) forward(conn net.Conn) {
	for _, address := range b.addresses {
		server, err := net.Dial("tcp", address) //nolint:noctx // on this machine it is answered at once
		if err != nil {
			continue
		}
		if !b.hold(conn, server) {
			return
		}
		defer b.release(conn, server)
		b.running.Go(func() {
			_, _ = io.Copy(server, conn)
			_ = server.Close()
		})
		_, _ = io.Copy(conn, server)
		return
	}
	_ = conn.Close()
}

// hold notes connections, which closeAll then closes; it closes them itself if that was before.
func (b *balancer) hold(conns ...net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, conn := range conns {
		if b.closed {
			_ = conn.Close()
		} else {
			b.open[conn] = true
		}
	}
	return !b.closed
}

func (b *balancer) release(conns ...net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
		delete(b.open, conn)
	}
}

func (b *balancer) closeAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for conn := range b.open {
		_ = conn.Close()
	}
}
