package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/pluginapi"
)

// copyWorkspace is the action's choice of a writable copy of its own.
const copyWorkspace = "copy"

// workspace puts the files of the step's revision where the runner wants them.
func (s *session) workspace(
	ctx context.Context, step *api.Claim, action *core.Action, typ pluginapi.ActionType, request *pluginapi.RunRequest,
) (release func(), err error) {
	switch typ.Workspace {
	case pluginapi.WorkspaceNone:
		return func() {}, nil
	case pluginapi.WorkspaceDownload:
		request.Workspace.Writable = action.Workspace == copyWorkspace
		return func() {}, s.downloadable(ctx, step, request)
	case pluginapi.WorkspaceHostDir:
	}
	dir, release, err := s.revision(ctx, step)
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
	request.Workspace.Dir, request.Workspace.Writable = private, true
	return func() {}, nil
}

// downloadable gives a runner what it needs to have the files downloaded where the step runs: their address, and a token that
// opens nothing else.
func (s *session) downloadable(ctx context.Context, step *api.Claim, request *pluginapi.RunRequest) error {
	if s.DownloadURL == "" {
		return errors.New("the worker knows no address of the server that the step could reach: set download_url in the worker's configuration")
	}
	patience, cancel := context.WithTimeout(ctx, downloadLimit)
	defer cancel()
	var delay backoff
	for {
		token, err := s.server.WorkspaceToken(ctx, step.StepID, step.Lease)
		if s.note(err) == nil {
			request.Workspace.URL, request.Workspace.Token = strings.TrimSuffix(s.DownloadURL, "/")+step.WorkspaceURL, token.Token
			return nil
		}
		if refused(err) || delay.wait(patience, 100*time.Millisecond, 5*time.Second) != nil {
			return err
		}
	}
}

// downloadLimit is how long a step waits for a server that does not answer, or breaks off in the middle of an archive.
const downloadLimit = time.Minute

// revision returns the directory of the step's revision, which stays until it is released.
func (s *session) revision(ctx context.Context, step *api.Claim) (dir string, release func(), err error) {
	patience, cancel := context.WithTimeout(ctx, downloadLimit)
	defer cancel()
	var delay backoff
	for {
		dir, release, err = s.cache.get(ctx, step.Workspace, filesOf(step), func(ctx context.Context) (io.ReadCloser, error) {
			body, err := s.server.Workspace(ctx, step.WorkspaceURL, step.Lease)
			if s.note(err) == nil {
				return download{body}, nil
			}
			if client.IsCode(err, "lease_stale") || client.IsCode(err, "lease_invalid") {
				return nil, &ownError{err}
			}
			if refused(err) {
				return nil, err
			}
			return nil, &brokenOff{err}
		})
		if err == nil || !errors.As(err, new(*brokenOff)) || delay.wait(patience, 100*time.Millisecond, 5*time.Second) != nil {
			return dir, release, err
		}
	}
}

// filesOf names the files of the step's revision. A revision's own name may stand for other files, if the workspace was
// given another source.
func filesOf(step *api.Claim) string {
	if step.RevisionDigest == "" {
		return step.Revision
	}
	return step.Revision + "." + step.RevisionDigest
}

// brokenOff is the error of a download that another attempt may bring to its end.
type brokenOff struct{ err error }

func (e *brokenOff) Error() string { return e.err.Error() }
func (e *brokenOff) Unwrap() error { return e.err }

// download tells errors of the connection from errors in what came.
type download struct{ io.ReadCloser }

func (d download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if err != nil && err != io.EOF { // io.Readers return it bare
		err = &brokenOff{err}
	}
	return n, err
}
