package server

import (
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/core/workflow"
	"github.com/stroem/stroem/core/workspace"
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
