package plugintest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// memory is the smallest log store there is: it shows that the suite can be passed, and by how little.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func newMemory() *memory { return &memory{objects: map[string][]byte{}} }

func (*memory) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{Name: "memory", Version: "1"}, nil
}

func (*memory) Configure(_ context.Context, cfg *pluginapi.Config) error {
	if string(cfg.Settings) != "{}" {
		return pluginapi.Diagnostics{{Path: "/x", Message: "there is nothing to set"}}
	}
	return nil
}

func (*memory) CheckHealth(context.Context) (*pluginapi.Health, error) {
	return &pluginapi.Health{State: pluginapi.Healthy}, nil
}

func (m *memory) Put(_ context.Context, req *pluginapi.PutRequest, r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("read object: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[req.Key] = data
	return nil
}

func (m *memory) get(key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.objects[key]
	if !ok {
		return nil, pluginapi.Errorf(pluginapi.CodeNotFound, "no object %q", key)
	}
	return data, nil
}

func (m *memory) Get(_ context.Context, req *pluginapi.GetRequest) (io.ReadCloser, error) {
	data, err := m.get(req.Key)
	if err != nil {
		return nil, err
	}
	data = data[min(req.Offset, int64(len(data))):]
	if req.Length > 0 {
		data = data[:min(req.Length, int64(len(data)))]
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (m *memory) Stat(_ context.Context, req *pluginapi.StatRequest) (*pluginapi.ObjectInfo, error) {
	data, err := m.get(req.Key)
	if err != nil {
		return nil, err
	}
	return &pluginapi.ObjectInfo{Size: int64(len(data)), ModTime: time.Now()}, nil
}

func (m *memory) Delete(_ context.Context, req *pluginapi.DeleteRequest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, req.Key)
	return nil
}

func TestLogStoreSuite(t *testing.T) {
	t.Parallel()
	plugintest.TestLogStore(t, plugintest.InProcess(newMemory), plugintest.LogStoreOptions{BadConfig: []byte(`{"x": 1}`)})
}
