package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/sops"
	"github.com/stroem/stroem/core/workflow"
	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// report is what validate found out about one workspace or file.
type report struct {
	Path     string    `json:"path"`
	Valid    bool      `json:"valid"`
	Problems []problem `json:"problems"`
}

type problem struct {
	api.Diagnostic
	Severity workflow.Severity `json:"severity"`
}

func (a *app) validateCommand() *cobra.Command {
	var plugins []string
	cmd := &cobra.Command{
		Use:   "validate PATH...",
		Short: "Check workflow files",
		Long: `validate checks the workflow files of a workspace (a directory, read as the server reads it) or a single file, and tells
every problem with its file, line and column.

Actions of a type that a third party's plugin offers are checked with the schemas of the plugins that --plugin names. These
are started and asked for them; neither a server nor a worker is needed.`,
		Example: "  stroem validate .\n  stroem validate .workflows/deploy.yaml\n  stroem validate --plugin ./runner-acme.http .",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			types, err := actionTypes(cmd.Context(), plugins)
			if err != nil {
				return err
			}
			reports := make([]report, len(args))
			valid := true
			for i, path := range args {
				if reports[i], err = validate(cmd.Context(), path, types); err != nil {
					return err
				}
				valid = valid && reports[i].Valid
			}
			if err := a.printReports(reports); err != nil {
				return err
			}
			if !valid {
				return &exitError{code: exitFailed}
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&plugins, "plugin", nil, "executable of a runner plugin that offers action types; may be repeated")
	return cmd
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
		if d.Kind != pluginapi.KindRunner {
			return nil, fmt.Errorf("the plugin %s is a %s: only runners have action types", path, d.Kind)
		}
		for _, t := range d.ActionTypes {
			types = append(types, core.ActionType{
				Name: t.Name, Runner: t.Runner, Tag: t.Tag, SpecSchema: t.SpecSchema, Plugin: d.Name, PluginVersion: d.Version,
			})
		}
	}
	return types, nil
}

func validate(ctx context.Context, path string, types []core.ActionType) (report, error) {
	info, err := os.Stat(path)
	if err != nil {
		return report{}, fmt.Errorf("nothing can be read at %s: %w", path, err)
	}
	r := report{Path: path, Problems: []problem{}}
	options := workflow.Options{ActionTypes: types, Decrypt: decrypt(ctx), Now: time.Now()}
	var problems workflow.Diagnostics
	if info.IsDir() {
		_, problems = workflow.Load(os.DirFS(path), options)
	} else {
		content, err := os.ReadFile(path) //nolint:gosec // named by the user
		if err != nil {
			return r, fmt.Errorf("read %s: %w", path, err)
		}
		_, problems = workflow.Parse(filepath.Base(path), content, options)
	}
	for _, d := range problems {
		r.Problems = append(r.Problems, problem{api.Diagnostic{File: d.File, Line: d.Line, Column: d.Column, Message: d.Message}, d.Severity})
	}
	r.Valid = problems.Err() == nil
	return r, nil
}

// decrypt opens *.sops.yaml files with the sops program.
func decrypt(ctx context.Context) func(name string, data []byte) ([]byte, error) {
	return func(_ string, data []byte) ([]byte, error) {
		return sops.Decrypt(ctx, data)
	}
}

func (a *app) printReports(reports []report) error {
	if a.out.structured() {
		return a.out.document(reports)
	}
	for _, r := range reports {
		mark := a.out.paint("32", "[OK]")
		if !r.Valid {
			mark = a.out.paint("31", "[FAIL]")
		}
		lines := []string{mark + " " + r.Path}
		for _, d := range r.Problems {
			kind := a.out.paint("31", "error")
			if d.Severity != workflow.SeverityError {
				kind = a.out.paint("33", "WARN")
			}
			place := d.File
			if d.Line > 0 {
				place = fmt.Sprintf("%s:%d:%d", d.File, d.Line, d.Column)
			}
			lines = append(lines, fmt.Sprintf("  %s: %s: %s", place, kind, printable(d.Message)))
		}
		if err := a.out.line(strings.Join(lines, "\n")); err != nil {
			return err
		}
	}
	return nil
}
