package plugintest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// broken runs cases, but for the slow ones that no defect is about, and returns the rules that they found broken.
func broken(t *testing.T, cases func(t plugintest.TB) []plugintest.Case) []string {
	t.Helper()
	outcomes, err := plugintest.Check(t.Context(), func(t plugintest.TB) []plugintest.Case {
		return slices.DeleteFunc(cases(t), func(c plugintest.Case) bool {
			return c.Name == "large object" || c.Name == "message size"
		})
	}, plugintest.CheckOptions{})
	require.NoError(t, err)
	rules := map[string]bool{}
	for _, o := range outcomes {
		for _, f := range o.Failures {
			rules[f.Rule.ID] = true
			t.Logf("%s: %s: %s", o.Case, f.Rule.ID, f.Message)
		}
	}
	return slices.Sorted(maps.Keys(rules))
}

// defectiveStore is a log store with a defect.
type defectiveStore struct {
	*memory
	put func(m *memory, req *pluginapi.PutRequest, r io.Reader) error
	get func(m *memory, req *pluginapi.GetRequest) (io.ReadCloser, error)
}

func (s *defectiveStore) Put(ctx context.Context, req *pluginapi.PutRequest, r io.Reader) error {
	if s.put == nil {
		return s.memory.Put(ctx, req, r)
	}
	return s.put(s.memory, req, r)
}

func (s *defectiveStore) Get(ctx context.Context, req *pluginapi.GetRequest) (io.ReadCloser, error) {
	if s.get == nil {
		return s.memory.Get(ctx, req)
	}
	return s.get(s.memory, req)
}

func TestDefectsOfLogStoresAreFound(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		store defectiveStore
		want  []string
	}{
		"keeps the first object": {defectiveStore{put: func(m *memory, req *pluginapi.PutRequest, r io.Reader) error {
			if _, err := m.get(req.Key); err == nil {
				_, err := io.Copy(io.Discard, r)
				return err
			}
			return m.Put(context.Background(), req, r)
		}}, []string{"logstore/atomic", "logstore/put", "logstore/replace"}},
		"stores what broke off": {defectiveStore{put: func(m *memory, req *pluginapi.PutRequest, r io.Reader) error {
			data, err := io.ReadAll(r)
			return errors.Join(m.Put(context.Background(), req, bytes.NewReader(data)), err)
		}}, []string{"logstore/broken-put"}},
		"ignores length": {defectiveStore{get: func(m *memory, req *pluginapi.GetRequest) (io.ReadCloser, error) {
			return m.Get(context.Background(), &pluginapi.GetRequest{Key: req.Key, Offset: req.Offset})
		}}, []string{"logstore/range"}},
		"absent is empty": {defectiveStore{get: func(m *memory, req *pluginapi.GetRequest) (io.ReadCloser, error) {
			r, err := m.Get(context.Background(), req)
			if pluginapi.CodeOf(err) == pluginapi.CodeNotFound {
				r, err = io.NopCloser(bytes.NewReader(nil)), nil
			}
			return r, err
		}}, []string{"logstore/delete", "logstore/not-found"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open := plugintest.InProcess(func() pluginapi.LogStore {
				return &defectiveStore{newMemory(), test.store.put, test.store.get}
			})
			require.Equal(t, test.want, broken(t, func(t plugintest.TB) []plugintest.Case {
				return plugintest.LogStoreCases(t, open, plugintest.LogStoreOptions{BadConfig: []byte(`{"x": 1}`)})
			}))
		})
	}
}

func TestUnconfiguredPluginsAreCoveredInPart(t *testing.T) {
	t.Parallel()
	outcomes, err := plugintest.Check(t.Context(), func(t plugintest.TB) []plugintest.Case {
		return plugintest.LogStoreCases(t, plugintest.InProcess(newMemory), plugintest.LogStoreOptions{Unconfigured: true})
	}, plugintest.CheckOptions{})
	require.NoError(t, err)
	statuses := map[string]plugintest.Status{}
	for _, o := range outcomes {
		statuses[o.Rule.ID] = o.Status
	}
	require.Equal(t, plugintest.Passed, statuses["plugin/describe"])
	require.Equal(t, plugintest.Passed, statuses["plugin/configure-first"])
	require.Equal(t, plugintest.NotCovered, statuses["logstore/put"])
	require.Equal(t, plugintest.NotCovered, statuses["plugin/health"])
}
