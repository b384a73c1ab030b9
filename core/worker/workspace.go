package worker

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/pluginapi"
)

// copyWorkspace is the action's choice of a writable copy of its own.
const copyWorkspace = "copy"

// workspace puts the files of the step's revision where the runner wants them.
func (w *Worker) workspace(
	ctx context.Context, step *api.Claim, action *core.Action, typ pluginapi.ActionType, request *pluginapi.RunRequest,
) (release func(), err error) {
	if typ.Workspace != pluginapi.WorkspaceHostDir {
		return func() {}, nil
	}
	dir, release, err := w.cache.get(ctx, step.Workspace, step.Revision, func(ctx context.Context) (io.ReadCloser, error) {
		return w.server.Workspace(ctx, step.WorkspaceURL)
	})
	if err != nil {
		return nil, err
	}
	if action.Workspace != copyWorkspace {
		request.Workspace.Dir = dir
		return release, nil
	}
	defer release()
	private := filepath.Join(request.ScratchDir, "workspace")
	if err := os.CopyFS(private, os.DirFS(dir)); err != nil {
		return nil, fmt.Errorf("copy the workspace: %w", err)
	}
	request.Workspace.Dir = private
	return func() {}, nil
}
