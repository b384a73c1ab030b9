package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/core/template"
	"github.com/stroem/stroem/core/workflow"
	"github.com/stroem/stroem/pluginapi"
)

// runners describes the plugins that are not ours: those that are named, by the file names that the configuration of a
// worker wants, and the action types of all.
func (f *runFlags) runners(ctx context.Context) (named map[string]string, types []core.ActionType, err error) {
	named = map[string]string{}
	for _, plugin := range f.plugins {
		path, err := executable(plugin)
		if err != nil {
			return nil, nil, err
		}
		offered, err := actionTypes(ctx, []string{path})
		if err != nil {
			return nil, nil, err
		}
		types = append(types, offered...)
		if len(offered) > 0 {
			named[string(pluginapi.KindRunner)+"-"+offered[0].Plugin] = path
		}
	}
	dir := pluginhost.Dir(f.pluginsDir)
	if f.pluginsDir == "" {
		if _, err := os.Stat(dir); err != nil {
			return nil, nil, fmt.Errorf("there are no plugins in %s: say where they are with --plugins-dir", dir)
		}
	}
	installed, err := installedTypes(ctx, dir)
	return named, append(types, installed...), err
}

// loadForRun loads a workspace as the server will, and tells what is wrong with it.
func loadForRun(ctx context.Context, dir string, f runFlags, types []core.ActionType, messages *progress) (*core.Workspace, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the workspace: %w", err)
	}
	defer func() { _ = root.Close() }() // only read from
	workspace, diags := workflow.Load(root.FS(), workflow.Options{
		ActionTypes: types, Decrypt: decrypt(ctx), RenderSecrets: renderWith(ctx, f.env),
	})
	locate(filepath.Clean(f.dir), diags)
	r := newReport(f.dir, diags)
	for _, p := range r.Problems {
		messages.line(messages.printer.problem(p))
	}
	if !r.Valid {
		errs, _ := count([]report{r})
		return nil, &exitError{exitFailed, fmt.Errorf("the workspace has %s: nothing was run", plural(errs, "error"))}
	}
	return workspace, nil
}

var envReference = regexp.MustCompile(`\benv\.([A-Za-z_][A-Za-z0-9_]*)`)

// renderWith renders secrets with the variables of the environment that are allowed.
func renderWith(ctx context.Context, allowed []string) func(map[string]any) (map[string]any, error) {
	env := map[string]any{}
	for _, name := range allowed {
		env[name] = os.Getenv(name)
	}
	return func(secrets map[string]any) (map[string]any, error) {
		rendered, err := template.RenderValue(ctx, secrets, template.Context{"env": env})
		if failed, ok := errors.AsType[*template.Error](err); ok {
			if name := envReference.FindStringSubmatch(failed.Expression + failed.Message); name != nil && env[name[1]] == nil {
				err = fmt.Errorf("%w; take it from your environment with --env %s", err, name[1])
			}
		}
		values, _ := rendered.(map[string]any) // as it was
		return values, err
	}
}

// checkEnv refuses names of variables that are not there.
func checkEnv(names []string) error {
	for _, name := range names {
		if key, _, value := strings.Cut(name, "="); value {
			return &exitError{exitUsage, fmt.Errorf("--env %s=…: give the name alone; everybody on this machine can read arguments, so the value comes from the environment", key)}
		}
		if _, set := os.LookupEnv(name); !set {
			return &exitError{exitUsage, fmt.Errorf("--env %s: there is no such variable in the environment", name)}
		}
	}
	return nil
}

// noTask says that a task is not there, and which are.
func noTask(workspace *core.Workspace, task, dir string) error {
	tasks := slices.Sorted(maps.Keys(workspace.Tasks))
	known := "there are: " + strings.Join(tasks, ", ")
	if len(tasks) == 0 {
		known = "there are none in " + dir
	}
	if task == "" {
		return &exitError{exitUsage, fmt.Errorf("name a task; %s", known)}
	}
	return fmt.Errorf("Task '%s' not found%s; %s", task, workflow.DidYouMean(task, slices.Values(tasks)), known) //nolint:staticcheck // the API's words
}

func inputTypes(fields map[string]core.InputField) map[string]string {
	types := make(map[string]string, len(fields))
	for name, field := range fields {
		types[name] = field.Type
	}
	return types
}
