package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stroem/stroem/pluginapi"
)

var (
	//go:embed schema/config.json
	configSchema []byte
	//go:embed schema/settings.json
	settingsSchema []byte
)

// settings are those of one workspace.
type settings struct {
	Path string `json:"path"`
}

// decode reads JSON strictly: an unknown key is an error.
func decode(what string, data json.RawMessage, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return pluginapi.Errorf(pluginapi.CodeInvalid, "read %s: %w", what, err)
	}
	return nil
}

// openFolder opens the folder that the settings name. The caller closes it.
func openFolder(data json.RawMessage) (folder *os.Root, path string, err error) {
	var s settings
	if err := decode("settings", data, &s); err != nil {
		return nil, "", err
	}
	if s.Path == "" {
		return nil, "", pluginapi.Errorf(pluginapi.CodeInvalid, "path is not set; it names the folder of the workspace")
	}
	if path, err = filepath.Abs(s.Path); err != nil {
		return nil, "", pluginapi.Errorf(pluginapi.CodeInternal, "find folder: %w", err)
	}
	folder, err = os.OpenRoot(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", pluginapi.Errorf(pluginapi.CodeNotFound, "folder %s does not exist", path)
	case errors.Is(err, fs.ErrPermission):
		return nil, "", pluginapi.Errorf(pluginapi.CodeDenied, "folder %s may not be read", path)
	case err != nil:
		return nil, "", pluginapi.Errorf(pluginapi.CodeInvalid, "open folder: %w", err)
	}
	return folder, path, nil
}
