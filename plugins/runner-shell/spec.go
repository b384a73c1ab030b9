package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/stroem/stroem/pluginapi"
)

// spec is the part of a shell action that this runner heeds.
type spec struct {
	Cmd     string `json:"cmd"`
	Script  string `json:"script"`
	Workdir string `json:"workdir"`
}

func parseSpec(data json.RawMessage) (spec, error) {
	var s spec
	if err := json.Unmarshal(data, &s); err != nil {
		return s, pluginapi.Errorf(pluginapi.CodeInvalid, "read spec: %w", err)
	}
	if s.Cmd == "" && s.Script == "" {
		return s, pluginapi.Errorf(pluginapi.CodeInvalid, "neither cmd nor script is set")
	}
	return s, nil
}

// validate warns of what has no effect here.
func validate(data json.RawMessage) (pluginapi.Diagnostics, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "read spec: %w", err)
	}
	var problems pluginapi.Diagnostics
	warn := func(key, message string) {
		if _, ok := keys[key]; ok {
			problems = append(problems, pluginapi.Diagnostic{
				Severity: pluginapi.SeverityWarning, Path: "/" + key, Message: message,
			})
		}
	}
	if _, ok := keys["cmd"]; ok {
		warn("script", "script has no effect beside cmd")
	}
	for _, key := range slices.Sorted(slices.Values([]string{"resources", "image", "command", "entrypoint", "manifest"})) {
		warn(key, key+" has no effect on a shell action that runs on the worker; use runner docker or pod")
	}
	return problems, nil
}

// How sh starts a step: it tells the watchdog about itself before it does anything of the user's, so that there is no
// instant at which the plugin's death would leave the step behind.
const (
	register = `echo "add $$" >&3; exec 3>&-; `
	source   = register + `. "$0"`    // sh reads the file
	execute  = register + `exec "$0"` // the file runs in place of sh
)

// command finds out what to run: the launcher for sh, the file that it is for, and the working directory.
func (s spec) command(req *pluginapi.RunRequest) (launcher, file, dir string, err error) {
	if req.Workspace.Dir == "" || req.ScratchDir == "" {
		return "", "", "", pluginapi.Errorf(pluginapi.CodeInvalid, "a shell step needs a workspace and a scratch directory")
	}
	workspace, err := os.OpenRoot(req.Workspace.Dir)
	if err != nil {
		return "", "", "", pluginapi.Errorf(pluginapi.CodeInternal, "open workspace: %w", err)
	}
	defer func() { _ = workspace.Close() }() // only read from
	dir = req.Workspace.Dir
	if s.Workdir != "" {
		info, err := inside(workspace, "workdir", s.Workdir)
		if err != nil {
			return "", "", "", err
		}
		if !info.IsDir() {
			return "", "", "", pluginapi.Errorf(pluginapi.CodeInvalid, "workdir %q is not a directory", s.Workdir)
		}
		dir = filepath.Join(dir, s.Workdir)
	}
	if s.Cmd != "" {
		file = filepath.Join(req.ScratchDir, "cmd")
		if err := writeNew(file, s.Cmd); err != nil {
			return "", "", "", pluginapi.Errorf(pluginapi.CodeInternal, "write cmd: %w", err)
		}
		return source, file, dir, nil
	}
	info, err := inside(workspace, "script", s.Script)
	if err != nil {
		return "", "", "", err
	}
	if !info.Mode().IsRegular() {
		return "", "", "", pluginapi.Errorf(pluginapi.CodeInvalid, "script %q is not a file", s.Script)
	}
	file = filepath.Join(req.Workspace.Dir, s.Script)
	if info.Mode()&0o111 == 0 {
		return source, file, dir, nil
	}
	return execute, file, dir, nil
}

// inside returns what name is in the workspace. Names and links that lead out of it are refused.
func inside(workspace *os.Root, key, name string) (fs.FileInfo, error) {
	info, err := workspace.Stat(filepath.FromSlash(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "%s %q does not exist in the workspace", key, name)
	case err != nil:
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "%s %q has to be a path inside the workspace: %w", key, name, err)
	}
	return info, nil
}

// writeNew writes a file that must not exist yet; nobody else may read it, for it may hold secrets.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // a name of ours in a directory of the host's
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
