package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

var (
	//go:embed schema/config.json
	configSchema []byte
	//go:embed schema/settings.json
	settingsSchema []byte
)

// config is what the operator may set for all workspaces.
type config struct {
	AllowFileURLs bool  `json:"allow_file_urls"`
	MaxFiles      int   `json:"max_files"`
	MaxBytes      int64 `json:"max_bytes"`
	MaxFileBytes  int64 `json:"max_file_bytes"`
	TimeoutSecs   int64 `json:"timeout_secs"`
	CacheBytes    int64 `json:"cache_bytes"`
}

func defaultConfig() config {
	return config{MaxFiles: 200_000, MaxBytes: 4 << 30, MaxFileBytes: 256 << 20, TimeoutSecs: 300, CacheBytes: 2 << 30}
}

func (c config) timeout() time.Duration { return time.Duration(c.TimeoutSecs) * time.Second }

// settings are those of one workspace.
type settings struct {
	URL                   string `json:"url"`
	Ref                   string `json:"ref"`
	Auth                  *auth  `json:"auth"`
	KnownHosts            string `json:"known_hosts"`
	KnownHostsPath        string `json:"known_hosts_path"`
	InsecureAcceptAnyHost bool   `json:"insecure_accept_any_host"`
	CA                    string `json:"ca"`
	CAPath                string `json:"ca_path"`
	InsecureSkipTLSVerify bool   `json:"insecure_skip_tls_verify"`
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

// workspace is what settings amount to once they are checked.
type workspace struct {
	settings
	remote remote
}

// parse reads the settings of a workspace and checks them as far as that can be done without looking at files or asking
// anybody.
func (c config) parse(data json.RawMessage) (*workspace, error) {
	w := &workspace{settings: settings{Ref: "main"}}
	if err := decode("settings", data, &w.settings); err != nil {
		return nil, err
	}
	var err error
	if w.remote, err = parseRemote(w.URL); err != nil {
		return nil, err
	}
	if w.remote.scheme == schemeFile && !c.AllowFileURLs {
		return nil, invalid("url: file:// is not allowed; the configuration of the plugin can allow it (allow_file_urls), " +
			"and workspaces of type folder need no git")
	}
	if err := checkRef(w.Ref); err != nil {
		return nil, err
	}
	if err := w.Auth.check(w.remote); err != nil {
		return nil, err
	}
	return w, nil
}

func invalid(format string, args ...any) error {
	return pluginapi.Errorf(pluginapi.CodeInvalid, format, args...)
}
