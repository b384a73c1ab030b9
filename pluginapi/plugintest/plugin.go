package plugintest

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
	"github.com/stroem/stroem/pluginapi/internal/wire"
)

// pluginSuite are the cases that hold for every kind.
type pluginSuite struct {
	open         Opener
	kind         pluginapi.Kind
	config       json.RawMessage
	badConfig    json.RawMessage
	unconfigured string   // what the cases that need a configured plugin lack; "" if nothing
	binary       *command // nil: instances are in this process
}

// look starts an instance to see what it is.
func (s *pluginSuite) look(t TB) *pluginapi.Description {
	t.Helper()
	i := s.open(t)
	if i.process != nil {
		s.binary = i.process.command
	}
	return describe(t, hostapi.NewPlugin(i, "plugin"))
}

// Describe starts an instance and returns what the plugin says about itself.
func Describe(ctx context.Context, open Opener) (*pluginapi.Description, error) {
	//nolint:contextcheck // the TB has the context
	return perform(ctx, time.Minute, func(t TB) *pluginapi.Description {
		return describe(t, hostapi.NewPlugin(open(t), "plugin"))
	})
}

// describe returns what the plugin says about itself.
func describe(t TB, p pluginapi.Plugin) *pluginapi.Description {
	t.Helper()
	d, err := p.Describe(within(t, patience))
	wantOK(under(t, ruleDescribe), "Describe", err)
	return d
}

// configure prepares a fresh instance for work, with a data directory of its own.
func (s *pluginSuite) configure(t TB, i *Instance) {
	t.Helper()
	s.configureIn(t, i, runDir(t))
}

func (s *pluginSuite) configureIn(t TB, i *Instance, dataDir string) {
	t.Helper()
	err := hostapi.NewPlugin(i, "plugin").Configure(within(t, patience), &pluginapi.Config{
		Settings: orEmpty(s.config), DataDir: dataDir,
	})
	wantOK(under(t, ruleConfig), "Configure", err)
}

// cases are those that all kinds have in common.
func (s *pluginSuite) cases() []Case {
	cases := []Case{
		newCase("describe", ruleDescribe, s.testDescribe),
		newCase("schemas", ruleSchemas, s.testSchemas),
		newCase("configure", ruleConfig, func(t TB) { s.configure(t, s.open(t)) }).unless(s.unconfigured),
		newCase("configure twice", ruleOnce, s.testConfigureTwice).unless(s.unconfigured),
		newCase("calls before configure", ruleFirst, s.testConfigureFirst),
		newCase("bad config", ruleBad, s.testBadConfig).unless(missing(s.badConfig, "settings that are to be refused (BadConfig, bad_config)")),
		newCase("health", ruleHealth, s.testHealth).unless(s.unconfigured),
		newCase("message size", ruleMessage, s.testMessageSize),
	}
	if s.binary != nil {
		cases = append(cases, newCase("log format", ruleLog, s.testLog))
	}
	if s.binary != nil && canDie {
		cases = append(cases, newCase("host gone", ruleOrphan, s.testHostGone).unless(noHost()))
	}
	return cases
}

// missing says what to add when the example is not there.
func missing(example json.RawMessage, what string) string {
	if len(example) == 0 {
		return what
	}
	return ""
}

// names is what plugins, action types, runners and tags are called.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

func (s *pluginSuite) testDescribe(t TB) {
	i := s.open(t)
	p := hostapi.NewPlugin(i, "plugin")
	before := describe(t, p)
	if s.unconfigured == "" {
		s.configure(t, i)
	}
	if after := describe(t, p); !reflect.DeepEqual(before, after) {
		t.Errorf("the description changed: %s", changes(before, after))
	}
	if other := describe(t, hostapi.NewPlugin(s.open(t), "plugin")); !reflect.DeepEqual(before, other) {
		t.Errorf("two processes describe themselves differently: %s", changes(before, other))
	}
	if before.Kind != s.kind {
		t.Errorf("the plugin says that it is a %q, not a %q", before.Kind, s.kind)
	}
	if !names.MatchString(before.Name) || before.Version == "" {
		t.Errorf("name %q and version %q: neither may be empty, and the name has to match %s", before.Name, before.Version, names)
	}
}

// changes names the fields in which two descriptions differ.
func changes(before, after *pluginapi.Description) string {
	var list []string
	a, b := reflect.ValueOf(*before), reflect.ValueOf(*after)
	for i := range a.NumField() {
		if x, y := a.Field(i).Interface(), b.Field(i).Interface(); !reflect.DeepEqual(x, y) {
			was, _ := json.Marshal(x) // everything in a description can be encoded
			is, _ := json.Marshal(y)
			list = append(list, fmt.Sprintf("%s was %.200s, is %.200s", a.Type().Field(i).Name, was, is))
		}
	}
	return strings.Join(list, "; ")
}

func (s *pluginSuite) testSchemas(t TB) {
	d := describe(t, hostapi.NewPlugin(s.open(t), "plugin"))
	isSchema(t, "config_schema", d.ConfigSchema)
	isSchema(t, "settings_schema", d.SettingsSchema)
	for _, actionType := range d.ActionTypes {
		isSchema(t, "spec_schema of "+actionType.Name, actionType.SpecSchema)
	}
}

// isSchema checks that a schema is at least a JSON object.
func isSchema(t TB, name string, schema json.RawMessage) {
	t.Helper()
	var object map[string]any
	if len(schema) > 0 && json.Unmarshal(schema, &object) != nil {
		t.Errorf("%s is not a JSON object: %.200s", name, schema)
	}
}

func (s *pluginSuite) testConfigureTwice(t TB) {
	i := s.open(t)
	s.configure(t, i)
	err := hostapi.NewPlugin(i, "plugin").Configure(within(t, patience), &pluginapi.Config{Settings: orEmpty(s.config), DataDir: t.TempDir()})
	wantCode(t, "the second Configure", err, pluginapi.CodePrecondition)
}

func (s *pluginSuite) testConfigureFirst(t TB) {
	i := s.open(t)
	_, err := hostapi.NewPlugin(i, "plugin").CheckHealth(within(t, patience))
	wantCode(t, "CheckHealth before Configure", err, pluginapi.CodePrecondition)
	ctx := within(t, patience)
	switch s.kind {
	case pluginapi.KindRunner:
		_, err = hostapi.NewRunner(i, "plugin").Run(ctx, &pluginapi.RunRequest{RunID: newID()}, NewRecorder())
		wantCode(t, "Run before Configure", err, pluginapi.CodePrecondition)
	case pluginapi.KindSource:
		_, err = hostapi.NewSource(i, "plugin").Resolve(ctx, &pluginapi.ResolveRequest{Workspace: "ws", Settings: json.RawMessage("{}")})
		wantCode(t, "Resolve before Configure", err, pluginapi.CodePrecondition)
	case pluginapi.KindLogStore:
		_, err = hostapi.NewLogStore(i, "plugin").Stat(ctx, &pluginapi.StatRequest{Key: "conformance/" + newID()})
		wantCode(t, "Stat before Configure", err, pluginapi.CodePrecondition)
	}
}

func (s *pluginSuite) testBadConfig(t TB) {
	err := hostapi.NewPlugin(s.open(t), "plugin").Configure(within(t, patience), &pluginapi.Config{Settings: s.badConfig, DataDir: t.TempDir()})
	wantCode(t, "Configure", err, pluginapi.CodeInvalid)
}

func (s *pluginSuite) testHealth(t TB) {
	i := s.open(t)
	s.configure(t, i)
	h, err := hostapi.NewPlugin(i, "plugin").CheckHealth(within(t, 3*time.Second))
	wantOK(t, "CheckHealth", err)
	if h.State != pluginapi.Healthy && h.Message == "" {
		t.Errorf("the plugin is %s but does not say why", h.State)
	}
}

// testMessageSize sends a request with a field that this version of the protocol does not have: every plugin has to
// read it, whatever its kind, and to pass over the field.
func (s *pluginSuite) testMessageSize(t TB) {
	req := &pluginv1.DescribeRequest{}
	const fieldAndLength = 16
	field := protowire.AppendTag(nil, 15_000, protowire.BytesType)
	req.ProtoReflect().SetUnknown(protowire.AppendBytes(field, make([]byte, wire.MaxMessage-fieldAndLength)))
	if _, err := pluginv1.NewPluginServiceClient(s.open(t)).Describe(within(t, patience), req); err != nil {
		t.Errorf("Describe with a message of 16 MiB, most of it in an unknown field: %v", err)
	}
}

// testLog looks at what the plugin logs in an ordinary life.
func (s *pluginSuite) testLog(t TB) {
	i := s.open(t)
	describe(t, hostapi.NewPlugin(i, "plugin"))
	if s.unconfigured == "" {
		s.configure(t, i)
		_, err := hostapi.NewPlugin(i, "plugin").CheckHealth(within(t, patience))
		wantOK(under(t, ruleHealth), "CheckHealth", err)
	}
	i.process.end()
	for line := range strings.Lines(i.process.log.String()) {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) != nil {
			t.Errorf("this line of its log is not a JSON object: %.200s", line)
			continue
		}
		for _, key := range []string{"@level", "@message", "@timestamp"} {
			if record[key] == nil {
				t.Errorf("this line of its log has no %s: %.200s", key, line)
			}
		}
	}
}
