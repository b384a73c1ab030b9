package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/client"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/tests/engines"
)

// line is a way to the engine that can be cut.
type line struct {
	engine  string
	address string
	tls     *tls.Config // nil: plain
	mu      sync.Mutex
	accept  net.Listener // nil while it is cut
	open    map[net.Conn]bool
	group   sync.WaitGroup
	frozen  sync.RWMutex  // held to let nothing through
	life    time.Duration // of a connection; 0: as long as it is needed
}

func newLine(t *testing.T, encrypted *tls.Config) *line {
	t.Helper()
	l := &line{engine: engines.Docker(t), address: "127.0.0.1:0", tls: encrypted, open: map[net.Conn]bool{}}
	l.mend(t)
	t.Cleanup(func() {
		l.cut()
		l.group.Wait()
	})
	return l
}

func (l *line) mend(t *testing.T) {
	t.Helper()
	accept, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(t.Context()), "tcp", l.address)
	require.NoError(t, err)
	if l.tls != nil {
		accept = tls.NewListener(accept, l.tls)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accept, l.address = accept, accept.Addr().String()
	l.group.Go(func() {
		for {
			near, err := accept.Accept()
			if err != nil {
				return
			}
			l.group.Go(func() { l.carry(near) })
		}
	})
}

func (l *line) carry(near net.Conn) {
	defer func() { _ = near.Close() }()
	target, err := client.ParseHostURL(l.engine)
	if err != nil {
		return
	}
	far, err := (&net.Dialer{}).DialContext(context.Background(), target.Scheme, target.Host+strings.TrimSuffix(target.Path, "/"))
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	l.mu.Lock()
	l.open[near], l.open[far] = true, true
	if l.accept == nil { // cut meanwhile
		l.mu.Unlock()
		return
	}
	if l.life > 0 {
		_ = near.SetDeadline(time.Now().Add(l.life))
	}
	l.mu.Unlock()
	var there sync.WaitGroup
	there.Go(func() {
		_, _ = io.Copy(thaw{l, far}, near)
		_ = far.Close()
	})
	_, _ = io.Copy(thaw{l, near}, far)
	_ = near.Close()
	there.Wait()
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.accept != nil {
		_ = l.accept.Close()
		l.accept = nil
	}
	for conn := range l.open {
		_ = conn.Close()
	}
	clear(l.open)
}

// shorten ends all connections after a while.
func (l *line) shorten(life time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.life = life
	for conn := range l.open {
		_ = conn.SetDeadline(time.Now().Add(life))
	}
}

// thaw writes when the line is not frozen.
type thaw struct {
	*line
	w io.Writer
}

func (t thaw) Write(p []byte) (int, error) {
	t.frozen.RLock()
	defer t.frozen.RUnlock()
	return t.w.Write(p)
}
