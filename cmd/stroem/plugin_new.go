package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/version"
)

// skeletons are plugins that work, by kind; what they have in common is in any. They are called example.skeleton.
//
//go:embed all:_skeleton
var skeletons embed.FS

const (
	skeletonName  = "example.skeleton"
	defaultVendor = "example"
	ourModule     = "github.com/stroem/stroem"
)

// newPlugin is a plugin that is to be written.
type newPlugin struct {
	kind, name string
	dir        string // where to
	module     string
	replace    string // a checkout of ours, in place of the released module
}

// vendorName is the name of a third party's plugin, plainName one without its vendor.
var (
	plainName  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,49}$`)
	vendorName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,49}(\.[a-z0-9][a-z0-9_-]{0,49})+$`)
)

func (a *app) pluginNewCommand() *cobra.Command {
	var p newPlugin
	cmd := &cobra.Command{
		Use:   "new runner|source|logstore NAME",
		Short: "Write a plugin in Go that works, to begin with",
		Long: `new writes a plugin into a new directory NAME: a Go module that compiles, with a test that runs the conformance suite and
passes. NAME is vendor.name, such as acme.demo; a name without a vendor gets the vendor "example". Nothing is overwritten.`,
		Example: "  stroem plugin new runner acme.demo && cd acme.demo && go test ./...",
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.ExactArgs(2)(cmd, args); err != nil {
				return err
			}
			return p.named(args[0], args[1])
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.pluginNew(cmd.Context(), &p, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&p.module, "module", "", "path of the Go module (default example.com/NAME)")
	cmd.Flags().StringVar(&p.replace, "replace", "", "use this checkout of Strøm instead of a released version")
	return cmd
}

// named takes over kind and name.
func (p *newPlugin) named(kind, name string) error {
	if !slices.Contains([]string{"runner", "source", "logstore"}, kind) {
		return fmt.Errorf("the kind of a plugin is runner, source or logstore, not %q", kind)
	}
	p.kind, p.dir, p.name = kind, name, name
	if plainName.MatchString(name) {
		p.name = defaultVendor + "." + name
	}
	if !vendorName.MatchString(p.name) || !core.IsVendorType(p.name) { // its action type is called so, too
		return fmt.Errorf("%q cannot be the name of a plugin: it is vendor.name, of lower-case letters, digits, - and _, beginning with a letter, and has at most 100 characters", name)
	}
	if p.module == "" {
		p.module = "example.com/" + name
	}
	return nil
}

func (p *newPlugin) binary() string { return p.kind + "-" + p.name }

func (a *app) pluginNew(ctx context.Context, p *newPlugin, stderr io.Writer) error {
	if p.replace != "" {
		if _, err := os.Stat(filepath.Join(p.replace, "pluginapi")); err != nil {
			return &exitError{exitUsage, fmt.Errorf("--replace: %s is not a checkout of %s", p.replace, ourModule)}
		}
	}
	if err := os.Mkdir(p.dir, 0o755); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already; nothing was written", p.dir)
	} else if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	if err := p.write(); err != nil {
		return fmt.Errorf("write plugin: %w", err)
	}
	note := ""
	if p.name != p.dir {
		note = fmt.Sprintf("\nIts name has no vendor, so it is called %s; choose your own with: stroem plugin new %s vendor.%s", p.name, p.kind, p.dir)
	}
	tidied, err := p.tidy(ctx, stderr)
	if err != nil {
		return fmt.Errorf("%s was written, but its dependencies could not be fetched: %w\nRun in it, when that can work: go mod tidy. "+
			"With a checkout of Strøm at hand, --replace takes them from there", p.dir, err)
	}
	next := "go test ./..."
	if !tidied {
		next = "go mod tidy && " + next
		note += "\nThere is no go on PATH, so the dependencies were not fetched; get it from https://go.dev/dl"
	}
	if a.out.structured() {
		return a.out.document(map[string]string{"directory": p.dir, "kind": p.kind, "name": p.name, "binary": p.binary(), "module": p.module})
	}
	return a.out.line(fmt.Sprintf("Wrote the plugin %s into %s.%s\nNext: cd %s && %s", p.binary(), p.dir, note, p.dir, next))
}

// write writes the files of the kind, with the plugin's own name in them.
func (p *newPlugin) write() error {
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // every file in it was closed with its error heeded
	name := strings.NewReplacer(skeletonName, p.name, "KIND-", p.kind+"-")
	for _, dir := range []string{"any", p.kind} {
		dir = path.Join("_skeleton", dir)
		entries, err := skeletons.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			text, err := skeletons.ReadFile(path.Join(dir, entry.Name()))
			if err != nil {
				return err
			}
			file := entry.Name()
			if file == "gitignore" {
				file = ".gitignore"
			}
			if err := root.WriteFile(file, []byte(name.Replace(string(text))), 0o644); err != nil {
				return err
			}
		}
	}
	return p.writeModule(root)
}

var (
	release   = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$`)
	goRelease = regexp.MustCompile(`^go(\d+\.\d+(\.\d+)?)`)
)

// writeModule writes go.mod. A development build of this program has no version to require: `go mod tidy` finds one then.
func (p *newPlugin) writeModule(root *os.Root) error {
	text := "module " + p.module + "\n"
	if m := goRelease.FindStringSubmatch(runtime.Version()); m != nil {
		text += "\ngo " + m[1] + "\n"
	}
	switch {
	case p.replace != "":
		checkout, err := filepath.Abs(p.replace)
		if err != nil {
			return err
		}
		text += fmt.Sprintf("\nrequire %s v0.0.0\n\nreplace %s => %q\n", ourModule, ourModule, filepath.ToSlash(checkout))
		// What the checkout knows of its dependencies need not be asked for again.
		if sums, err := os.ReadFile(filepath.Join(checkout, "go.sum")); err == nil { //nolint:gosec // named by the user
			if err := root.WriteFile("go.sum", sums, 0o644); err != nil {
				return err
			}
		}
	case release.MatchString(version.Version):
		text += fmt.Sprintf("\nrequire %s %s\n", ourModule, version.Version)
	}
	return root.WriteFile("go.mod", []byte(text), 0o644)
}

// tidy lets the go command complete go.mod and go.sum; false when there is none.
func (p *newPlugin) tidy(ctx context.Context, stderr io.Writer) (bool, error) {
	program, err := exec.LookPath("go")
	if err != nil {
		return false, nil //nolint:nilerr // that is the answer
	}
	cmd := exec.CommandContext(ctx, program, "mod", "tidy") //nolint:gosec // the go command
	cmd.Dir = p.dir
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = stderr, &said
	if err := cmd.Run(); err != nil {
		return true, fmt.Errorf("go mod tidy: %w\n%s", err, strings.TrimSpace(said.String()))
	}
	return true, nil
}
