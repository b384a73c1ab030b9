package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/volume"

	"github.com/stroem/stroem/pluginapi"
)

// checkWorkspace finds out whether what a shell step names is in its workspace.
func (s *spec) checkWorkspace(dir string) error {
	if dir == "" {
		return pluginapi.Errorf(pluginapi.CodeInvalid, "a shell step needs a workspace")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return pluginapi.Errorf(pluginapi.CodeInternal, "open workspace: %w", err)
	}
	defer func() { _ = root.Close() }() // only read from
	if s.Workdir != "" {
		info, err := lookUp(root, "workdir", s.Workdir)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return pluginapi.Errorf(pluginapi.CodeInvalid, "workdir %q is not a directory", s.Workdir)
		}
	}
	if s.Cmd != "" {
		return nil
	}
	info, err := lookUp(root, "script", s.Script)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return pluginapi.Errorf(pluginapi.CodeInvalid, "script %q is not a file", s.Script)
	}
	return nil
}

// lookUp returns what name is in the workspace. Names and links that lead out of it are refused.
func lookUp(workspace *os.Root, key, name string) (fs.FileInfo, error) {
	info, err := workspace.Stat(filepath.FromSlash(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "%s %q does not exist in the workspace", key, name)
	case err != nil:
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "%s %q has to be a path inside the workspace: %w", key, name, err)
	}
	return info, nil
}

// bindWorkspace is the mount of a directory that the engine sees as this process does. The engine refuses the container if it
// does not: it makes no directory for this kind of mount.
func bindWorkspace(w pluginapi.Workspace) mount.Mount {
	return mount.Mount{Type: mount.TypeBind, Source: w.Dir, Target: workspaceDir, ReadOnly: !w.Writable}
}

// noSuchSource tells whether the engine does not have the directory that was to be mounted.
func noSuchSource(err error) bool {
	return err != nil && strings.Contains(err.Error(), "bind source path does not exist")
}

// volumeWorkspace is the mount of the volume of a run.
func volumeWorkspace(name string, readOnly bool) mount.Mount {
	return mount.Mount{
		Type: mount.TypeVolume, Source: name, Target: workspaceDir, ReadOnly: readOnly,
		VolumeOptions: &mount.VolumeOptions{NoCopy: true},
	}
}

// fillVolume makes the volume of a run and copies the workspace into it, through a container that never starts: a
// step's own container may have it read-only only.
func (l *launch) fillVolume(ctx context.Context) error {
	if err := l.createVolume(ctx); err != nil {
		return err
	}
	id, err := l.createWith(ctx, l.name+"-workspace", &container.Config{
		Image: l.image.String(), Entrypoint: []string{"-"}, Labels: labels(l.req.RunID, partWorkspace, l.req.Labels),
	}, &container.HostConfig{
		NetworkMode: "none", Mounts: []mount.Mount{volumeWorkspace(l.name, false)},
	})
	if err != nil {
		return err // the caller looks at it, because the image may be missing
	}
	if err := l.copyWorkspace(ctx, id); err != nil {
		return err
	}
	remove, cancel := limited(ctx)
	defer cancel()
	if err := l.removeContainer(remove, id); err != nil {
		return l.failed("remove the container that the workspace was copied through", err)
	}
	return nil
}

func (l *launch) createVolume(ctx context.Context) error {
	call, cancel := limited(ctx)
	defer cancel()
	_, err := l.api.VolumeCreate(call, volume.CreateOptions{Name: l.name, Labels: labels(l.req.RunID, partWorkspace, l.req.Labels)})
	if err != nil {
		return l.failed("make a volume for the workspace", err)
	}
	return nil
}

// copyWorkspace copies the workspace to its place in a container.
func (l *launch) copyWorkspace(ctx context.Context, id string) error {
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := packDir(w, l.req.Workspace.Dir, l.req.Workspace.Writable)
		w.CloseWithError(err)
		packed <- err
	}()
	// From / on: the engine refuses links that lead out of where it unpacks.
	err := l.api.CopyToContainer(ctx, id, "/", r, container.CopyToContainerOptions{})
	_ = r.CloseWithError(errUnwanted)                                            // or the packer would wait for ever
	if packErr := <-packed; packErr != nil && !errors.Is(packErr, errUnwanted) { // the client takes it for the engine's
		return pluginapi.Errorf(pluginapi.CodeInternal, "copy the workspace: %w", packErr)
	}
	if err != nil {
		return l.failed("copy the workspace", err)
	}
	return nil
}

var errUnwanted = errors.New("the engine takes no more")
