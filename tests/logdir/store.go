// Package logdir is a log store for tests that keeps objects as files in a directory, counts what is asked of it, and can be away.
package logdir

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
)

// Store is a log store. Its methods may be called concurrently.
type Store struct {
	Gets atomic.Int64 // calls
	Puts atomic.Int64 // that have succeeded

	t    testing.TB
	dir  string
	temp string // for what is about to be stored
	away atomic.Bool
	hung atomic.Bool
}

// New returns an empty store that ends with the test.
func New(t testing.TB) *Store {
	t.Helper()
	return &Store{t: t, dir: t.TempDir(), temp: t.TempDir()}
}

// Away has every call fail, or not any more.
func (s *Store) Away(away bool) { s.away.Store(away) }

// Hang has every call, and every reader, wait until its context ends, or not any more.
func (s *Store) Hang(hung bool) { s.hung.Store(hung) }

// wait waits as long as calls have to.
func (s *Store) wait(ctx context.Context) error {
	if s.hung.Load() {
		<-ctx.Done()
		return pluginapi.Errorf(pluginapi.CodeCanceled, "%w", ctx.Err())
	}
	return nil
}

// Objects are the keys of all objects, sorted.
func (s *Store) Objects() (keys []string) {
	s.t.Helper()
	require.NoError(s.t, fs.WalkDir(os.DirFS(s.dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			keys = append(keys, name)
		}
		return err
	}))
	return keys
}

// Object is the content of an object, which has to be there.
func (s *Store) Object(key string) []byte {
	s.t.Helper()
	content, err := os.ReadFile(filepath.Join(s.dir, filepath.FromSlash(key)))
	require.NoError(s.t, err)
	return content
}

// Set stores an object, whoever is away.
func (s *Store) Set(key string, content []byte) {
	s.t.Helper()
	name := filepath.Join(s.dir, filepath.FromSlash(key))
	require.NoError(s.t, os.MkdirAll(filepath.Dir(name), 0o750))
	require.NoError(s.t, os.WriteFile(name, content, 0o600))
}

// Describe implements [pluginapi.Plugin].
func (*Store) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{Name: "logdir", Version: "1"}, nil
}

// Configure implements [pluginapi.Plugin].
func (*Store) Configure(context.Context, *pluginapi.Config) error { return nil }

// CheckHealth implements [pluginapi.Plugin].
func (*Store) CheckHealth(context.Context) (*pluginapi.Health, error) {
	return &pluginapi.Health{State: pluginapi.Healthy}, nil
}

// name is the file of an object.
func (s *Store) name(key string) (string, error) {
	if s.away.Load() {
		return "", pluginapi.Errorf(pluginapi.CodeUnavailable, "the store is away")
	}
	if !fs.ValidPath(key) || key == "." {
		return "", pluginapi.Errorf(pluginapi.CodeInvalid, "%q is not a key", key)
	}
	return filepath.Join(s.dir, filepath.FromSlash(key)), nil
}

// Put implements [pluginapi.LogStore].
func (s *Store) Put(ctx context.Context, req *pluginapi.PutRequest, r io.Reader) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	name, err := s.name(req.Key)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(s.temp, "put-")
	if err != nil {
		return err
	}
	_, err = io.Copy(file, r)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), name); err != nil {
		return err
	}
	s.Puts.Add(1)
	return nil
}

// Get implements [pluginapi.LogStore].
func (s *Store) Get(ctx context.Context, req *pluginapi.GetRequest) (io.ReadCloser, error) {
	s.Gets.Add(1)
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	name, err := s.name(req.Key)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, found(req.Key, err)
	}
	length := req.Length
	if length <= 0 {
		length = 1 << 62
	}
	return &part{ctx, s, io.NewSectionReader(file, req.Offset, length), file}, nil
}

// part is what is read of an object.
type part struct {
	ctx   context.Context //nolint:containedctx // of the call, which lasts until Close
	store *Store
	io.Reader
	io.Closer
}

func (p *part) Read(b []byte) (int, error) {
	if err := p.store.wait(p.ctx); err != nil {
		return 0, err
	}
	if p.store.away.Load() {
		return 0, pluginapi.Errorf(pluginapi.CodeUnavailable, "the store has gone away")
	}
	return p.Reader.Read(b)
}

// Stat implements [pluginapi.LogStore].
func (s *Store) Stat(_ context.Context, req *pluginapi.StatRequest) (*pluginapi.ObjectInfo, error) {
	name, err := s.name(req.Key)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, found(req.Key, err)
	}
	return &pluginapi.ObjectInfo{Key: req.Key, Size: info.Size(), ModTime: info.ModTime()}, nil
}

// Delete implements [pluginapi.LogStore].
func (s *Store) Delete(_ context.Context, req *pluginapi.DeleteRequest) error {
	name, err := s.name(req.Key)
	if err != nil {
		return err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func found(key string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return pluginapi.Errorf(pluginapi.CodeNotFound, "no object %q", key)
	}
	return err
}
