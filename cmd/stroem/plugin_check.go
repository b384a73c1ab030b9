package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// checkFlags are those of `stroem plugin check`.
type checkFlags struct {
	config, cases, run string
	strict             bool
	parallel           int
	limit              time.Duration
}

func (a *app) pluginCheckCommand() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check BINARY [-- ARGS]",
		Short: "Run the conformance suite on a plugin, in whatever language it is written",
		Long: `check starts a plugin as a host does and finds out whether it heeds the rules: those of all plugins, and those of its kind.
Each case starts the plugin anew. What failed names the rule; what the suite cannot try, because an example or settings are
missing, is listed as not covered, with what to add.

Runners are exercised with the examples that they describe; those of --cases come before them. The file is YAML or JSON:

  start: [python3, server.py]       # runs meanwhile; the first line that it prints is ${address}
  examples:
    acme.demo:                      # the action type, or type/runner
      succeed: {url: "${address}/"} # also fail, long, large, stubborn, killed, unterminated, endless
  bad_config: {no_such_key: 1}      # settings that the plugin has to refuse
  source:                           # for sources: an existing workspace, or a command that makes them
    settings: {path: /srv/flows}
    new: [sh, workspace.sh]         # called with new DIR and change DIR, prints {"settings": …, "files": {…}}
    missing: {path: /does/not/exist}

Sources and log stores without --config are tried only as far as they need none; use --config '{}' if that is all they need.

Exit codes: 0 nothing failed · 1 something failed, or with --strict was not covered · 2 wrong usage.`,
		Example: "  stroem plugin check ./runner-acme.demo\n  stroem plugin check ./logstore-acme.disk --config '{\"dir\": \"/tmp/logs\"}' --strict",
		Args:    binaryWithArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.pluginCheck(cmd.Context(), args[0], args[1:], f, cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config", "", "settings of the plugin: a JSON object, or a file")
	flags.StringVar(&f.cases, "cases", "", "file with examples and what else the suite needs")
	flags.StringVar(&f.run, "run", "", "only cases whose name or rule matches this regular expression")
	flags.BoolVar(&f.strict, "strict", false, "fail when something is not covered")
	flags.IntVar(&f.parallel, "parallel", 0, "cases at a time (default: two for each processor)")
	flags.DurationVar(&f.limit, "timeout", 3*time.Minute, "for a case")
	return cmd
}

// checked is what is to be checked, and with what.
type checked struct {
	open   plugintest.Opener
	config json.RawMessage
	cases  *caseFile
	filter *regexp.Regexp
}

func (a *app) pluginCheck(ctx context.Context, binary string, args []string, f checkFlags, stderr io.Writer) error {
	c, err := f.read()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	path, err := executable(binary)
	if err != nil {
		return err
	}
	c.open = plugintest.Binary(path, args...)
	d, err := plugintest.Describe(ctx, c.open)
	if err != nil {
		return err
	}
	end, err := c.cases.started(ctx, stderr)
	if err != nil {
		return err
	}
	defer end()
	suite, err := c.suite(d) //nolint:contextcheck // each case has its own
	if err != nil {
		return &exitError{exitUsage, err}
	}
	r := newCheckReport(path, d)
	if err := a.printCheckTitle(r); err != nil {
		return err
	}
	outcomes, err := plugintest.Check(ctx, suite, plugintest.CheckOptions{
		Parallel: f.parallel, Limit: f.limit, Report: a.printProgress(),
	})
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	r.add(outcomes)
	if err := a.printCheck(r); err != nil {
		return err
	}
	if r.Failed > 0 || (f.strict && r.NotCovered > 0) {
		return &exitError{code: exitFailed}
	}
	return nil
}

// read reads what the flags name.
func (f *checkFlags) read() (*checked, error) {
	c := &checked{cases: &caseFile{}}
	var err error
	if f.config != "" {
		if c.config, err = jsonOrFile(f.config); err != nil {
			return nil, fmt.Errorf("--config: %w", err)
		}
	}
	if f.cases != "" {
		if c.cases, err = readCaseFile(f.cases); err != nil {
			return nil, fmt.Errorf("--cases: %w", err)
		}
	}
	if c.filter, err = regexp.Compile(f.run); err != nil {
		return nil, fmt.Errorf("--run: %w", err)
	}
	return c, nil
}

// suite returns the cases for the plugin's kind.
func (c *checked) suite(d *pluginapi.Description) (func(t plugintest.TB) []plugintest.Case, error) {
	var cases func(t plugintest.TB) []plugintest.Case
	switch d.Kind {
	case pluginapi.KindRunner:
		examples, err := c.cases.examples(d)
		if err != nil {
			return nil, fmt.Errorf("--cases: %w", err)
		}
		opts := plugintest.RunnerOptions{Config: c.config, BadConfig: c.cases.BadConfig, Examples: examples}
		cases = func(t plugintest.TB) []plugintest.Case { return plugintest.RunnerCases(t, c.open, opts) }
	case pluginapi.KindSource:
		opts := c.cases.Source.options(c.cases.dir)
		opts.Config, opts.BadConfig, opts.Unconfigured = c.config, c.cases.BadConfig, c.config == nil
		cases = func(t plugintest.TB) []plugintest.Case { return plugintest.SourceCases(t, c.open, opts) }
	case pluginapi.KindLogStore:
		opts := plugintest.LogStoreOptions{Config: c.config, BadConfig: c.cases.BadConfig, Unconfigured: c.config == nil}
		cases = func(t plugintest.TB) []plugintest.Case { return plugintest.LogStoreCases(t, c.open, opts) }
	default:
		return nil, fmt.Errorf("the plugin says that it is a %q; there are rules for runner, source and logstore", d.Kind)
	}
	return func(t plugintest.TB) []plugintest.Case {
		return slices.DeleteFunc(append(cases(t), takenByHost(d)), func(p plugintest.Case) bool {
			return !c.filter.MatchString(p.Name) && !c.filter.MatchString(p.Rule.ID)
		})
	}, nil
}

// takenByHost is the case that only a host can tell: whether it would start a plugin that describes itself so.
func takenByHost(d *pluginapi.Description) plugintest.Case {
	rules := plugintest.Rules()
	describe := slices.IndexFunc(rules, func(r plugintest.Rule) bool { return r.ID == "plugin/describe" })
	return plugintest.Case{Name: "taken by a host", Rule: rules[describe], Run: func(t plugintest.TB) {
		if err := pluginhost.CheckDescription(d); err != nil {
			t.Errorf("a host would refuse it: %v", err)
		}
	}}
}

// printProgress returns what is told of each case as it ends. It is told of one at a time.
func (a *app) printProgress() func(plugintest.Outcome) {
	if a.out.structured() {
		return nil
	}
	return func(o plugintest.Outcome) {
		if o.Status == plugintest.NotCovered {
			return // they come together, with what to add
		}
		mark := a.out.paint("32", "ok  ")
		if o.Status == plugintest.Failed {
			mark = a.out.paint("31", "FAIL")
		}
		_ = a.out.line(fmt.Sprintf("%s  %s  %s", mark, o.Case, seconds(o.Took))) // the report says whether it can be written to
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }
