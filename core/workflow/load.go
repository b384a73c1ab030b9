package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/template"
)

// Options adapts [Load] and [Parse] to where they run. The zero value is fine.
type Options struct {
	// ActionTypes are the types that plugins offer; of those only third parties' count, the others are known here.
	ActionTypes []core.ActionType
	// CheckSpec asks the plugin of a third party's action type what is wrong with a spec that the type's schema accepts;
	// strings in it may be templates. nil asks nobody.
	CheckSpec func(actionType string, spec json.RawMessage) []SpecProblem
	// Decrypt returns the plain text of a *.sops.yaml file, given by its path in the workspace. nil refuses such files.
	Decrypt func(name string, data []byte) ([]byte, error)
	// RenderSecrets renders the templates in secrets, and resolves references. An error that is a template's tells by its
	// path which secret is at fault. nil leaves all as they are.
	RenderSecrets func(secrets map[string]any) (map[string]any, error)
	// Now is from when cron expressions have to fire within five years; the zero time means now.
	Now time.Time
}

// settings are Options made ready.
type settings struct {
	specs    specs
	check    func(actionType string, spec json.RawMessage) []SpecProblem
	now      time.Time
	files    fs.FS // nil in Parse
	inRoot   bool  // the file may be somebody else's
	compiled map[string]*template.Template
}

func (o Options) settings(files fs.FS) (settings, Diagnostics) {
	all, diags := newSpecs(o.ActionTypes)
	s := settings{specs: all, check: o.CheckSpec, now: o.Now, files: files, compiled: map[string]*template.Template{}}
	if s.now.IsZero() {
		s.now = time.Now()
	}
	return s, diags
}

// Directory is where a workspace's workflow files are; without it, they are in the workspace's root.
const Directory = ".workflows"

// Load reads all workflow files of a workspace, merges them in the order of their names, and checks the whole. The
// workspace is nil if there are errors; warnings come with a workspace.
func Load(fsys fs.FS, opts Options) (*core.Workspace, Diagnostics) {
	settings, diags := opts.settings(fsys)
	names, inRoot, err := workflowFiles(fsys)
	if err != nil {
		return nil, append(diags, Diagnostic{Severity: SeverityError, Message: err.Error()})
	}
	settings.inRoot = inRoot
	var files []*file
	for _, name := range names {
		data, err := readAll(fsys, name)
		if err == nil && inRoot && !sectionLine.Match(data) {
			continue // somebody else's YAML
		}
		if err == nil && isEncrypted(name) {
			data, err = decrypt(name, data, opts.Decrypt)
		}
		if err != nil {
			diags = append(diags, Diagnostic{File: name, Line: 1, Column: 1, Severity: SeverityError, Message: err.Error()})
			continue
		}
		files = append(files, readFile(name, data, settings))
	}
	return finish(files, settings, opts, diags)
}

// Parse reads one file as if it were a whole workspace.
func Parse(name string, data []byte, opts Options) (*core.Workspace, Diagnostics) {
	settings, diags := opts.settings(nil)
	return finish([]*file{readFile(name, data, settings)}, settings, opts, diags)
}

func finish(files []*file, settings settings, opts Options, diags Diagnostics) (*core.Workspace, Diagnostics) {
	w := merge(files, settings)
	w.check()
	if opts.RenderSecrets != nil && len(w.diags.Errors()) == 0 {
		w.renderSecrets(opts.RenderSecrets)
	}
	diags = append(diags, w.diags...).sorted()
	if len(diags.Errors()) > 0 {
		return nil, diags
	}
	return w.Workspace, diags
}

// renderSecrets replaces the secrets by what render makes of them.
func (w *workspace) renderSecrets(render func(map[string]any) (map[string]any, error)) {
	if len(w.Secrets) == 0 {
		return
	}
	rendered, err := render(w.Secrets)
	if err == nil {
		w.Secrets = rendered
		return
	}
	var at place
	if failed, ok := errors.AsType[*template.Error](err); ok {
		name, _, _ := strings.Cut(failed.Path, ".")
		name, _, _ = strings.Cut(name, "[")
		e := w.entries[sectionSecrets][name]
		at = w.locate(e)
	}
	w.report(at, SeverityError, "the secret cannot be rendered: %s", err)
}

// workflowFiles lists the files to read by name. inRoot tells that they stand among files of others.
func workflowFiles(fsys fs.FS) (names []string, inRoot bool, err error) {
	directory := Directory
	if info, err := fs.Stat(fsys, directory); err != nil || !info.IsDir() {
		directory, inRoot = ".", true
	}
	entries, err := fs.ReadDir(fsys, directory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, errors.New("the workspace does not exist")
	}
	if err != nil {
		return nil, false, fmt.Errorf("read workspace: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") || !slices.Contains([]string{".yaml", ".yml"}, path.Ext(name)) {
			continue
		}
		name = path.Join(directory, name)
		if info, err := fs.Stat(fsys, name); err == nil && info.IsDir() {
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names, inRoot, nil
}

// readAll reads a file, but not much more of it than may be.
func readAll(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	defer func() { _ = f.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	return data, nil
}

func isEncrypted(name string) bool {
	return strings.HasSuffix(name, ".sops.yaml") || strings.HasSuffix(name, ".sops.yml")
}

func decrypt(name string, data []byte, decrypt func(string, []byte) ([]byte, error)) ([]byte, error) {
	if decrypt == nil {
		return nil, errors.New("the file is encrypted by sops, which is not at hand here: put sops and its key where the workspace is loaded")
	}
	plain, err := decrypt(name, data)
	if err != nil {
		return nil, fmt.Errorf("decrypt with sops: %w", err)
	}
	return plain, nil
}

// lacks tells whether a script, given without templates, is known not to be in the workspace.
func (s settings) lacks(script string) bool {
	if s.files == nil || template.HasTemplate(script) || leavesWorkspace(script) {
		return false
	}
	_, err := fs.Stat(s.files, path.Clean(script))
	return errors.Is(err, fs.ErrNotExist)
}
