package plugintest

import (
	"encoding/json"
	"maps"
	"regexp"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
)

// SourceOptions says what the suite cannot find out itself.
type SourceOptions struct {
	Config    json.RawMessage // settings of the plugin; nil is {}
	BadConfig json.RawMessage // settings of the plugin to be refused; nil: not covered
	// New makes a workspace of at least one file and returns its settings, its files by slash-separated path, and a
	// function that changes the content of one of them, and returns the files as they are then. Files that are nil are not
	// compared; without a function the cases of a change are not covered. Without New most cases are not covered.
	New func(t TB) (settings json.RawMessage, files map[string]string, change func() map[string]string)
	// Executable are the files of New that can be executed; nil: not compared.
	Executable []string
	// Missing are settings of a workspace that is not there; nil: not covered.
	Missing func(t TB) json.RawMessage
	// KeepsHistory says that an older revision can still be fetched after a change.
	KeepsHistory bool
	// Unchangeable says that New returns no function.
	Unchangeable bool
	// Unconfigured says that there are no settings to work with: only what needs none is covered.
	Unconfigured bool
}

// unconfigured is what a plugin lacks that may only be described.
func unconfigured(yes bool) string {
	if yes {
		return "settings to work with (Config, --config; {} if it needs none)"
	}
	return ""
}

// TestSource runs the suite. open makes an instance for each case.
func TestSource[S Test[S]](t S, open Opener, opts SourceOptions) {
	t.Helper()
	run(t, SourceCases(t, open, opts))
}

// SourceCases are the cases that a source should pass. An instance is started to see what it is.
func SourceCases(t TB, open Opener, opts SourceOptions) []Case {
	t.Helper()
	s := &sourceSuite{opts: opts, pluginSuite: &pluginSuite{
		open: open, kind: pluginapi.KindSource, config: opts.Config, badConfig: opts.BadConfig,
		unconfigured: unconfigured(opts.Unconfigured),
	}}
	s.look(t)
	cases := s.cases()
	add := func(title string, rule Rule, test func(t TB), needs ...string) {
		cases = append(cases, newCase(title, rule, test).unless(s.unconfigured).unless(needs...))
	}
	workspace, gone, change := "", "", ""
	if opts.New == nil {
		workspace = "a workspace (New; settings or new under source)"
	}
	if opts.Missing == nil {
		gone = "settings of a workspace that is not there (Missing; missing under source)"
	}
	if opts.Unchangeable {
		change = "a workspace that can be changed (New; new under source)"
	}
	add("resolve", ruleResolve, s.testResolve, workspace)
	add("revision id", ruleRevisionID, s.testRevisionID, workspace)
	add("fetch", ruleFetch, s.testFetch, workspace)
	add("change", ruleChange, s.testChange, workspace, change)
	if opts.KeepsHistory {
		add("history", ruleHistory, s.testHistory, workspace, change)
	}
	add("unknown revision", ruleUnknown, s.testUnknownRevision, workspace)
	add("bad settings", ruleBadSettings, s.testBadSettings)
	add("missing", ruleMissing, s.testMissing, gone)
	add("parallel", ruleFetches, s.testParallel, workspace)
	add("writes inside", ruleOutside, s.testOutside, workspace)
	if canDie { // as good as: files have modes there
		add("file modes", ruleModes, s.testModes, workspace)
	}
	return cases
}

type sourceSuite struct {
	*pluginSuite
	opts SourceOptions
}

// source returns a fresh, configured instance.
func (s *sourceSuite) source(t TB) pluginv1.SourceServiceClient {
	t.Helper()
	i := s.open(t)
	s.configure(t, i)
	return pluginv1.NewSourceServiceClient(i)
}

// revisionID is what hosts make directory names of.
var revisionID = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z._-]{0,127}$`)

func checkRevision(t TB, r *pluginv1.Revision) {
	t.Helper()
	if !revisionID.MatchString(r.GetId()) {
		under(t, ruleRevisionID).Errorf("%q is not the id of a revision", r.GetId())
	}
}

func resolve(t TB, source pluginv1.SourceServiceClient, settings json.RawMessage) *pluginv1.Revision {
	t.Helper()
	resp, err := source.Resolve(within(t, patience), &pluginv1.ResolveRequest{Workspace: "ws", Settings: settings})
	wantOK(t, "Resolve", err)
	checkRevision(t, resp.GetRevision())
	return resp.GetRevision()
}

func (s *sourceSuite) testResolve(t TB) {
	settings, _, _ := s.opts.New(t)
	source := s.source(t)
	first := resolve(t, source, settings)
	if again := resolve(t, source, settings); !proto.Equal(first, again) {
		t.Errorf("nothing changed, but the revision did: {%v}, then {%v}", first, again)
	}
	if other := resolve(t, s.source(t), settings); first.GetId() != other.GetId() {
		t.Errorf("two processes see the revisions %s and %s", first.GetId(), other.GetId())
	}
}

func (s *sourceSuite) testRevisionID(t TB) {
	settings, _, _ := s.opts.New(t)
	resolve(t, s.source(t), settings)
}

func (s *sourceSuite) testFetch(t TB) {
	settings, files, _ := s.opts.New(t)
	source := s.source(t)
	current := resolve(t, source, settings).GetId()
	for _, id := range []string{current, "", current} {
		revision, got := fetch(t, source, settings, id)
		if revision.GetId() != current {
			t.Errorf("asked for %q and got revision %s, want %s", id, revision.GetId(), current)
		}
		if files == nil {
			files = got
		}
		wantFiles(t, got, files)
	}
	if _, got := fetch(t, s.source(t), settings, current); !maps.Equal(got, files) {
		t.Errorf("a fresh process fetched other files: %s", difference(got, files))
	}
}

func (s *sourceSuite) testChange(t TB) {
	settings, _, change := s.opts.New(t)
	source := s.source(t)
	before := resolve(t, source, settings)
	changed := change()
	after := resolve(t, source, settings)
	if before.GetId() == after.GetId() {
		t.Errorf("the files changed, but the revision is still %s", after.GetId())
	}
	if _, got := fetch(under(t, ruleFetch), source, settings, after.GetId()); changed != nil {
		wantFiles(under(t, ruleFetch), got, changed)
	}
}

func (s *sourceSuite) testHistory(t TB) {
	settings, files, change := s.opts.New(t)
	source := s.source(t)
	before := resolve(t, source, settings)
	if files == nil {
		_, files = fetch(t, source, settings, before.GetId())
	}
	change()
	resolve(t, source, settings)
	_, got := fetch(t, source, settings, before.GetId())
	wantFiles(t, got, files)
}

func (s *sourceSuite) testUnknownRevision(t TB) {
	settings, _, _ := s.opts.New(t)
	_, err := s.source(t).Fetch(within(t, patience), &pluginv1.FetchRequest{
		Workspace: "ws", Settings: settings, Revision: strings.Repeat("0123456789", 4), Dir: t.TempDir(),
	})
	if status.Code(err) != codes.NotFound {
		t.Errorf("Fetch: got %v, want NOT_FOUND", err)
	}
}

func (s *sourceSuite) testBadSettings(t TB) {
	source := s.source(t)
	for _, settings := range []string{``, `"text"`, `{"broken`} {
		_, err := source.Resolve(within(t, patience), &pluginv1.ResolveRequest{Workspace: "ws", Settings: []byte(settings)})
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("Resolve with the settings %q: got %v, want INVALID_ARGUMENT", settings, err)
		}
	}
}

func (s *sourceSuite) testMissing(t TB) {
	source, settings := s.source(t), s.opts.Missing(t)
	if _, err := source.Resolve(within(t, patience), &pluginv1.ResolveRequest{Workspace: "ws", Settings: settings}); err == nil {
		t.Errorf("Resolve found a workspace that is not there")
	}
	req := &pluginv1.FetchRequest{Workspace: "ws", Settings: settings, Dir: t.TempDir()}
	if _, err := source.Fetch(within(t, patience), req); err == nil {
		t.Errorf("Fetch found a workspace that is not there")
	}
}

func (s *sourceSuite) testParallel(t TB) {
	settings, _, _ := s.opts.New(t)
	source := s.source(t)
	want := resolve(t, source, settings).GetId()
	ctx := within(t, patience)
	var wg sync.WaitGroup
	for range 8 {
		dir := t.TempDir()
		wg.Go(func() {
			resp, err := source.Fetch(ctx, &pluginv1.FetchRequest{Workspace: "ws", Settings: settings, Dir: dir})
			if err != nil || resp.GetRevision().GetId() != want {
				t.Errorf("one of 8 parallel fetches ended with {%v}, %v", resp, err)
			}
		})
	}
	wg.Wait()
}
