package plugintest

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
)

// SourceOptions says what the suite cannot find out itself.
type SourceOptions struct {
	Config    json.RawMessage // settings of the plugin; nil is {}
	BadConfig json.RawMessage // settings of the plugin to be refused; nil leaves the case out
	// New makes a workspace of at least one file and returns its settings, its files by slash-separated path, and a
	// function that changes the content of one of them, and returns the files as they are then.
	New func(t TB) (settings json.RawMessage, files map[string]string, change func() map[string]string)
	// Missing are settings of a workspace that is not there; nil leaves the case out.
	Missing func(t TB) json.RawMessage
	// KeepsHistory says that an older revision can still be fetched after a change.
	KeepsHistory bool
}

// TestSource runs the suite. open makes an instance for each case.
func TestSource(t *testing.T, open Opener, opts SourceOptions) {
	t.Helper()
	run(t, SourceCases(open, opts))
}

// SourceCases are the cases that a source should pass.
func SourceCases(open Opener, opts SourceOptions) []Case {
	s := &sourceSuite{open: open, opts: opts}
	cases := append(pluginCases(open, pluginapi.KindSource, opts.Config, opts.BadConfig),
		Case{"resolve", s.testResolve},
		Case{"fetch", s.testFetch},
		Case{"change", s.testChange},
		Case{"unknown revision", s.testUnknownRevision},
		Case{"bad settings", s.testBadSettings},
		Case{"parallel", s.testParallel},
	)
	if opts.Missing != nil {
		cases = append(cases, Case{"missing", s.testMissing})
	}
	return cases
}

type sourceSuite struct {
	open Opener
	opts SourceOptions
}

func (s *sourceSuite) source(t TB) *hostapi.Source {
	t.Helper()
	source := hostapi.NewSource(s.open(t), "source")
	configure(t, source, s.opts.Config)
	return source
}

func resolve(t TB, source pluginapi.Source, settings json.RawMessage) *pluginapi.Revision {
	t.Helper()
	revision, err := source.Resolve(within(t, patience), &pluginapi.ResolveRequest{Workspace: "ws", Settings: settings})
	wantOK(t, "Resolve", err)
	return revision
}

// fetch returns the files that the source put into a new directory.
func fetch(t TB, source pluginapi.Source, settings json.RawMessage, id string) (*pluginapi.Revision, map[string]string) {
	t.Helper()
	dir := t.TempDir()
	revision, err := source.Fetch(within(t, patience), &pluginapi.FetchRequest{
		Workspace: "ws", Settings: settings, Revision: id, Dir: dir,
	})
	wantOK(t, "Fetch", err)
	return revision, readFiles(t, dir)
}

func readFiles(t TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		name := strings.TrimPrefix(filepath.ToSlash(strings.TrimPrefix(path, dir)), "/")
		files[name] = string(data)
		return err
	})
	wantOK(t, "read what was fetched", err)
	return files
}

func wantFiles(t TB, got, want map[string]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("fetched %v, want %v", got, want)
	}
}

func (s *sourceSuite) testResolve(t TB) {
	settings, _, _ := s.opts.New(t)
	source := s.source(t)
	first := resolve(t, source, settings)
	if again := resolve(t, source, settings); !reflect.DeepEqual(first, again) {
		t.Errorf("nothing changed, but the revision did: %+v, then %+v", first, again)
	}
	if other := resolve(t, s.source(t), settings); first.ID != other.ID {
		t.Errorf("two processes see the revisions %s and %s", first.ID, other.ID)
	}
}

func (s *sourceSuite) testFetch(t TB) {
	settings, files, _ := s.opts.New(t)
	source := s.source(t)
	current := resolve(t, source, settings)
	for _, id := range []string{current.ID, "", current.ID} {
		revision, got := fetch(t, source, settings, id)
		if revision.ID != current.ID {
			t.Errorf("asked for %q and got revision %s, want %s", id, revision.ID, current.ID)
		}
		wantFiles(t, got, files)
	}
	if _, got := fetch(t, s.source(t), settings, current.ID); !maps.Equal(got, files) {
		t.Errorf("a fresh process fetched %v, want %v", got, files)
	}
}

func (s *sourceSuite) testChange(t TB) {
	settings, files, change := s.opts.New(t)
	source := s.source(t)
	before := resolve(t, source, settings)
	changed := change()
	after := resolve(t, source, settings)
	if before.ID == after.ID {
		t.Errorf("the files changed, but the revision is still %s", after.ID)
	}
	_, got := fetch(t, source, settings, after.ID)
	wantFiles(t, got, changed)
	if s.opts.KeepsHistory {
		_, got := fetch(t, source, settings, before.ID)
		wantFiles(t, got, files)
	}
}

func (s *sourceSuite) testUnknownRevision(t TB) {
	settings, _, _ := s.opts.New(t)
	_, err := s.source(t).Fetch(within(t, patience), &pluginapi.FetchRequest{
		Workspace: "ws", Settings: settings, Revision: strings.Repeat("0123456789", 4), Dir: t.TempDir(),
	})
	wantCode(t, err, pluginapi.CodeNotFound)
}

func (s *sourceSuite) testBadSettings(t TB) {
	source := s.source(t)
	for _, settings := range []string{``, `"text"`, `{"broken`} {
		_, err := source.Resolve(within(t, patience), &pluginapi.ResolveRequest{Workspace: "ws", Settings: []byte(settings)})
		wantCode(t, err, pluginapi.CodeInvalid)
	}
}

func (s *sourceSuite) testMissing(t TB) {
	source, settings := s.source(t), s.opts.Missing(t)
	if _, err := source.Resolve(within(t, patience), &pluginapi.ResolveRequest{Workspace: "ws", Settings: settings}); err == nil {
		t.Errorf("Resolve found a workspace that is not there")
	}
	req := &pluginapi.FetchRequest{Workspace: "ws", Settings: settings, Dir: t.TempDir()}
	if _, err := source.Fetch(within(t, patience), req); err == nil {
		t.Errorf("Fetch found a workspace that is not there")
	}
}

func (s *sourceSuite) testParallel(t TB) {
	settings, _, _ := s.opts.New(t)
	source := s.source(t)
	want := resolve(t, source, settings).ID
	var wg sync.WaitGroup
	for range 8 {
		dir := t.TempDir()
		wg.Go(func() {
			revision, err := source.Fetch(within(t, patience), &pluginapi.FetchRequest{Workspace: "ws", Settings: settings, Dir: dir})
			if err != nil || revision.ID != want {
				t.Errorf("one of 8 parallel fetches ended with %+v, %v", revision, err)
			}
		})
	}
	wg.Wait()
}
