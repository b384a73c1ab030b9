package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/stroem/stroem/pluginapi"
)

// store keeps objects as files. Keys cannot lead out of its directory.
type store struct {
	dir *os.Root // set by Configure
}

type config struct {
	Dir string `json:"dir"`
}

// Describe says what the plugin is. It always says the same.
func (*store) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{
		Name:    "example.skeleton",
		Version: "0.1.0",
		ConfigSchema: json.RawMessage(`{
			"type": "object",
			"additionalProperties": false,
			"properties": {
				"dir": {"description": "Where the logs are kept; by default in the plugin's own directory.", "type": "string"}
			}
		}`),
	}, nil
}

// Configure gets the operator's settings, once. They match the schema; what a schema cannot say is checked here.
func (s *store) Configure(_ context.Context, cfg *pluginapi.Config) error {
	var c config
	decoder := json.NewDecoder(bytes.NewReader(cfg.Settings))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return pluginapi.Errorf(pluginapi.CodeInvalid, "read config: %w", err)
	}
	if c.Dir == "" {
		c.Dir = cfg.DataDir
	}
	if c.Dir == "" {
		return pluginapi.Errorf(pluginapi.CodeInvalid, "dir is not set, and the plugin has no directory of its own")
	}
	dir, err := os.OpenRoot(c.Dir)
	if err != nil {
		return pluginapi.Errorf(pluginapi.CodeInvalid, "open dir: %w", err)
	}
	s.dir = dir
	return nil
}

// Close is called when the host is done.
func (s *store) Close() error {
	if s.dir == nil {
		return nil
	}
	return s.dir.Close()
}

// CheckHealth says whether the plugin can work now.
func (s *store) CheckHealth(context.Context) (*pluginapi.Health, error) {
	if _, err := s.dir.Stat("."); err != nil {
		return &pluginapi.Health{State: pluginapi.Unhealthy, Message: err.Error()}, nil
	}
	return &pluginapi.Health{State: pluginapi.Healthy}, nil
}

// Put stores an object, all of it or nothing: it is written beside its place, and then moved there.
func (s *store) Put(_ context.Context, req *pluginapi.PutRequest, r io.Reader) error {
	name := filepath.FromSlash(req.Key)
	if err := s.dir.MkdirAll(filepath.FromSlash(path.Dir(req.Key)), 0o755); err != nil {
		return failed("make directory", err)
	}
	tmp := name + ".new-" + rand.Text()
	f, err := s.dir.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return failed("make file", err)
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.dir.Rename(tmp, name)
	}
	if err != nil {
		return failed("write object", errors.Join(err, s.dir.Remove(tmp)))
	}
	return nil
}

// Get reads an object or a part of it.
func (s *store) Get(_ context.Context, req *pluginapi.GetRequest) (io.ReadCloser, error) {
	f, err := s.dir.Open(filepath.FromSlash(req.Key))
	if err != nil {
		return nil, failed("open object", err)
	}
	if _, err := f.Seek(req.Offset, io.SeekStart); err != nil {
		return nil, failed("read object", errors.Join(err, f.Close()))
	}
	if req.Length <= 0 {
		return f, nil
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(f, req.Length), f}, nil
}

// Stat describes an object.
func (s *store) Stat(_ context.Context, req *pluginapi.StatRequest) (*pluginapi.ObjectInfo, error) {
	info, err := s.dir.Stat(filepath.FromSlash(req.Key))
	if err != nil {
		return nil, failed("read object", err)
	}
	return &pluginapi.ObjectInfo{Key: req.Key, Size: info.Size(), ModTime: info.ModTime()}, nil
}

// Delete removes an object. One that is not there is no error.
func (s *store) Delete(_ context.Context, req *pluginapi.DeleteRequest) error {
	if err := s.dir.Remove(filepath.FromSlash(req.Key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("remove object", err)
	}
	return nil
}

// failed returns an error with a code that the host understands.
func failed(what string, err error) error {
	code := pluginapi.CodeInternal
	if errors.Is(err, fs.ErrNotExist) {
		code = pluginapi.CodeNotFound
	}
	return pluginapi.Errorf(code, what+": %w", err)
}
