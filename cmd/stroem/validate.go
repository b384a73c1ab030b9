package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/sops"
	"github.com/stroem/stroem/core/workflow"
	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

type validateFlags struct {
	plugins    []string
	pluginsDir string
	format     string
	strict     bool
}

func (a *app) validateCommand() *cobra.Command {
	var f validateFlags
	cmd := &cobra.Command{
		Use:   "validate [PATH...]",
		Short: "Check workflow files",
		Long: `validate checks whole workspaces (directories, read as the server reads them; default: the current one) and single
files, and tells every problem with its file, line and column. A file in a workspace's .workflows is checked together with
the others there, and its own problems are told.

Neither a server nor a worker is needed. Actions of a type that a third party's plugin offers are checked with the schemas of
the plugins that --plugin and --plugins-dir name; these are started, and asked for what a schema cannot say, too. Secrets are
not rendered, so that the server's environment is not needed, and of a *.sops.yaml file that cannot be decrypted here the
names of the secrets are taken.

Exit codes: 0 no errors · 1 errors, or with --strict warnings · 2 wrong usage.`,
		Example: `  stroem validate
  stroem validate --strict workspaces/*
  stroem validate --format github .
  stroem validate --plugin ./runner-acme.http .workflows/deploy.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"."}
			}
			return a.validate(cmd.Context(), args, f)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.plugins, "plugin", nil, "executable of a runner plugin that offers action types; repeatable")
	flags.StringVar(&f.pluginsDir, "plugins-dir", "", "directory of plugins whose action types count, too")
	flags.StringVar(&f.format, "format", formatText, "how problems are written: text, or github for annotations of a pull request")
	flags.BoolVar(&f.strict, "strict", false, "fail for warnings, too")
	return cmd
}

func (a *app) validate(ctx context.Context, paths []string, f validateFlags) error {
	if f.format != formatText && f.format != formatGitHub {
		return &exitError{exitUsage, fmt.Errorf("--format is %q: it has to be text or github", f.format)}
	}
	if f.format == formatGitHub && a.out.structured() {
		return &exitError{exitUsage, errors.New("--format github and --output exclude each other")}
	}
	installed, err := installedPlugins(f.pluginsDir)
	if err != nil {
		return err
	}
	plugins := &consulted{plugin: map[string]*hostapi.Plugin{}}
	return consult(ctx, slices.Concat(f.plugins, installed), plugins, func() error {
		return a.validateWith(ctx, paths, f, plugins)
	})
}

func (a *app) validateWith(ctx context.Context, paths []string, f validateFlags, plugins *consulted) error {
	check := checker{plugins: plugins, loaded: map[string]workflow.Diagnostics{}}
	reports := make([]report, len(paths))
	for i, path := range paths {
		reports[i] = check.path(ctx, path)
	}
	if err := a.printReports(reports, f.format); err != nil {
		return err
	}
	if errs, warnings := count(reports); errs > 0 || f.strict && warnings > 0 {
		return &exitError{code: exitFailed}
	}
	return nil
}

// actionTypes are the types that the plugins with these paths offer.
func actionTypes(ctx context.Context, plugins []string) ([]core.ActionType, error) {
	var types []core.ActionType
	for _, path := range plugins {
		path, err := executable(path)
		if err != nil {
			return nil, err
		}
		d, err := plugintest.Describe(ctx, plugintest.Binary(path))
		if err != nil {
			return nil, err
		}
		offered, err := typesOf(path, d)
		if err != nil {
			return nil, err
		}
		types = append(types, offered...)
	}
	return types, nil
}

// typesOf are the action types in the description of a plugin.
func typesOf(path string, d *pluginapi.Description) ([]core.ActionType, error) {
	if d.Kind != pluginapi.KindRunner {
		return nil, fmt.Errorf("the plugin %s is a %s: only runners have action types", path, d.Kind)
	}
	types := make([]core.ActionType, len(d.ActionTypes))
	for i, t := range d.ActionTypes {
		types[i] = core.ActionType{
			Name: t.Name, Runner: t.Runner, Tag: t.Tag, SpecSchema: t.SpecSchema, Plugin: d.Name, PluginVersion: d.Version,
		}
	}
	return types, nil
}

// installedTypes are the types that third parties' runner plugins in a directory offer; "" is no directory.
func installedTypes(ctx context.Context, dir string) ([]core.ActionType, error) {
	paths, err := installedPlugins(dir)
	if err != nil {
		return nil, err
	}
	return actionTypes(ctx, paths)
}

// installedPlugins are the paths of third parties' runner plugins in a directory; "" is no directory.
func installedPlugins(dir string) ([]string, error) {
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the directory of the plugins: %w", err)
	}
	var paths []string
	for _, entry := range entries {
		// What we offer ourselves has no dot, and is known without asking.
		if name := fileKey(entry.Name()); strings.HasPrefix(name, string(pluginapi.KindRunner)+"-") && strings.Contains(name, ".") && !entry.IsDir() {
			paths = append(paths, filepath.Join(dir, entry.Name()))
		}
	}
	slices.Sort(paths)
	return paths, nil
}

// decrypt opens *.sops.yaml files with the sops program.
func decrypt(ctx context.Context) func(name string, data []byte) ([]byte, error) {
	return func(_ string, data []byte) ([]byte, error) {
		return sops.Decrypt(ctx, data)
	}
}
