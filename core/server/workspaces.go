package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/core/template"
	"github.com/stroem/stroem/core/workflow"
	"github.com/stroem/stroem/core/workspace"
)

// Limits of what is done while a workspace is loaded.
const (
	renderLimit = 30 * time.Second
	sopsLimit   = 10 * time.Second
)

func (s *Server) workspaceConfig(host *pluginhost.Host, types *actionTypes) (workspace.Config, error) {
	c := workspace.Config{
		Dir: filepath.Join(s.config.DataDir, "workspaces"), Sources: host, Workspaces: map[string]workspace.Source{},
		Logger: s.logger,
		Load: func(files fs.FS) (*core.Workspace, workflow.Diagnostics) {
			return workflow.Load(files, workflow.Options{
				ActionTypes: types.list(), Decrypt: decrypt, RenderSecrets: s.renderSecrets,
			})
		},
	}
	for name, w := range s.config.Workspaces {
		settings, err := w.Settings.JSON()
		if err != nil {
			return c, fmt.Errorf("encode the settings of workspace %s: %w", name, err)
		}
		c.Workspaces[name] = workspace.Source{Type: w.Type, Interval: w.PollInterval, Settings: settings}
	}
	return c, nil
}

// renderSecrets renders templates in a workspace's secrets. They can name env.<NAME> for the names that the
// configuration allows, and nothing else.
func (s *Server) renderSecrets(secrets map[string]any) (map[string]any, error) {
	env := map[string]any{}
	for _, name := range s.config.Secrets.Env {
		if value, set := os.LookupEnv(name); set {
			env[name] = value
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), renderLimit)
	defer cancel()
	rendered := make(map[string]any, len(secrets))
	for key, value := range secrets {
		value, err := template.RenderValue(ctx, value, template.Context{"env": env})
		if err != nil {
			return nil, fmt.Errorf("secrets.%s: %w", key, err)
		}
		rendered[key] = value
	}
	return rendered, nil
}

// decrypt opens a *.sops.yaml file with the sops program.
func decrypt(name string, data []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), sopsLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sops", "--input-type", "yaml", "--output-type", "yaml", "-d", "/dev/stdin")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("%s is encrypted, and the program sops is not installed on the server", name)
	}
	if err != nil {
		return nil, fmt.Errorf("decrypt %s with sops: %w", name, err)
	}
	return out, nil
}
