package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/stroem/stroem/pluginapi"
)

// source brings workspaces of one file each.
type source struct{}

// settings are those of one workspace. They come with each request: one process serves all workspaces.
type settings struct {
	URL string `json:"url"`
}

const (
	fileName = "workflows.yaml"
	maxFile  = 1 << 20
)

// Describe says what the plugin is. It always says the same.
func (*source) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{
		Name:    "example.skeleton",
		Version: "0.1.0",
		ConfigSchema: json.RawMessage(`{
			"type": "object",
			"additionalProperties": false
		}`),
		SettingsSchema: json.RawMessage(`{
			"type": "object",
			"required": ["url"],
			"additionalProperties": false,
			"properties": {
				"url": {"description": "Where the file of the workspace is.", "type": "string", "minLength": 1}
			}
		}`),
	}, nil
}

// Configure gets the operator's settings, once. They match the schema; what a schema cannot say is checked here.
func (*source) Configure(_ context.Context, cfg *pluginapi.Config) error {
	return decode(cfg.Settings, &struct{}{})
}

// CheckHealth says whether the plugin can work now.
func (*source) CheckHealth(context.Context) (*pluginapi.Health, error) {
	return &pluginapi.Health{State: pluginapi.Healthy}, nil
}

// Resolve finds the current revision. It is called often and should be cheap.
func (s *source) Resolve(ctx context.Context, req *pluginapi.ResolveRequest) (*pluginapi.Revision, error) {
	_, revision, err := s.get(ctx, req.Settings)
	return revision, err
}

// Fetch puts the files of a revision into a directory, and nothing anywhere else.
func (s *source) Fetch(ctx context.Context, req *pluginapi.FetchRequest) (*pluginapi.Revision, error) {
	text, revision, err := s.get(ctx, req.Settings)
	if err != nil {
		return nil, err
	}
	if req.Revision != "" && req.Revision != revision.ID {
		return nil, pluginapi.Errorf(pluginapi.CodeNotFound, "revision %s is gone", req.Revision)
	}
	path := filepath.Join(req.Dir, fileName)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInternal, "write file: %w", err)
	}
	// Steps may run as other users, who have to read this whatever the umask.
	for path, mode := range map[string]os.FileMode{req.Dir: 0o755, path: 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			return nil, pluginapi.Errorf(pluginapi.CodeInternal, "write file: %w", err)
		}
	}
	return revision, nil
}

// get returns the file and its revision, which is the hash of its content.
func (*source) get(ctx context.Context, data json.RawMessage) ([]byte, *pluginapi.Revision, error) {
	var s settings
	if err := decode(data, &s); err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return nil, nil, pluginapi.Errorf(pluginapi.CodeInvalid, "url is not a URL")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, pluginapi.Errorf(pluginapi.CodeUnavailable, "get file: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, pluginapi.Errorf(pluginapi.CodeUnavailable, "get file: %s", resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxFile+1))
	switch {
	case err != nil:
		return nil, nil, pluginapi.Errorf(pluginapi.CodeUnavailable, "get file: %w", err)
	case len(text) > maxFile:
		return nil, nil, pluginapi.Errorf(pluginapi.CodeExhausted, "the file is larger than %d bytes", maxFile)
	}
	sum := sha256.Sum256(text)
	return text, &pluginapi.Revision{ID: hex.EncodeToString(sum[:]), Message: fmt.Sprintf("%d bytes", len(text))}, nil
}

// decode reads JSON strictly. Its error does not repeat values: they may be secret.
func decode(data json.RawMessage, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return pluginapi.Errorf(pluginapi.CodeInvalid, "read JSON: %w", err)
	}
	return nil
}
