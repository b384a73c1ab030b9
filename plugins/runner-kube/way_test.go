package main

import (
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
)

// way is a way to the API server that can be broken.
type way struct {
	kubeconfig string
	came       chan struct{} // something for each connection
	refused    chan struct{} // the same for those that get nowhere

	mu     sync.Mutex
	closed bool
	conns  []net.Conn
	wg     sync.WaitGroup
}

// newWay listens on an address of its own and passes on what comes.
func newWay(t *testing.T) *way {
	t.Helper()
	file, err := clientcmd.LoadFromFile(kubeconfig(t))
	require.NoError(t, err)
	cluster := file.Clusters[file.Contexts[file.CurrentContext].Cluster]
	target, err := url.Parse(cluster.Server)
	require.NoError(t, err)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	const many = 10_000
	w := &way{kubeconfig: filepath.Join(t.TempDir(), "kubeconfig"), came: make(chan struct{}, many), refused: make(chan struct{}, many)}
	cluster.Server = "https://" + listener.Addr().String()
	require.NoError(t, clientcmd.WriteToFile(*file, w.kubeconfig))
	w.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if w.isClosed() {
				_ = conn.Close()
				w.refused <- struct{}{}
				continue
			}
			server, err := new(net.Dialer).DialContext(t.Context(), "tcp", target.Host)
			if err != nil {
				_ = conn.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, conn, server)
			w.mu.Unlock()
			w.came <- struct{}{}
			for _, pair := range [][2]net.Conn{{conn, server}, {server, conn}} {
				w.wg.Go(func() {
					_, _ = io.Copy(pair[0], pair[1])
					_ = pair[0].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		w.breakAll()
		w.wg.Wait()
	})
	return w
}

// breakAll closes all connections.
func (w *way) breakAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		_ = conn.Close()
	}
	w.conns = nil
}

// close has nothing get through until open.
func (w *way) close() {
	w.set(true)
	w.breakAll()
}

func (w *way) open() { w.set(false) }

func (w *way) set(closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = closed
}

func (w *way) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}
