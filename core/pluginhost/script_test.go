//go:build unix

package pluginhost_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// scriptEnv holds the script of a plugin. It comes from the configured environment, because plugins see little else.
const scriptEnv = "STROEM_TEST_SCRIPT"

// The points at which a script can go wrong.
const (
	atStart     = "start" // before the handshake
	atDescribe  = "describe"
	atConfigure = "configure"
	atHealth    = "health"
)

// script says what the plugin is that a test program acts as, and how it misbehaves.
type script struct {
	Kind     pluginapi.Kind `json:",omitempty"` // "": as its file is called
	Name     string         `json:",omitempty"` // "": as its file is called
	Types    []string       `json:",omitzero"`  // "type" or "type/runner"; nil: the plugin's name
	Schema   string         `json:",omitempty"` // of its configuration
	Settings string         `json:",omitempty"` // schema of the settings of a workspace
	Hang     string         `json:",omitempty"` // where it goes no further
	Exit     string         `json:",omitempty"` // where the process ends
	Refuse   string         `json:",omitempty"` // why it does not take its configuration
	Fail     string         `json:",omitempty"` // why it cannot be configured at the moment
	Foreign  string         `json:",omitempty"` // how it breaks the protocol
	Flood    string         `json:",omitempty"` // what it prints without end: words for stderr
	Panic    string         `json:",omitempty"` // where it panics
	Await    string         `json:",omitempty"` // a file in Dir: the process ends at its start as long as it is not there
	Print    []string       `json:",omitempty"` // lines for stderr
	Attach   bool           `json:",omitempty"` // its runs outlive it
	Dir      string         // where test and plugin talk: journal and health
}

// actor is what plugins of all kinds have in common.
type actor struct{ script }

// play is the main function of the test program as a plugin.
func play(text string) {
	var s script
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		panic(err)
	}
	kind, name, _ := strings.Cut(filepath.Base(os.Args[0]), "-")
	if s.Kind == "" {
		s.Kind = pluginapi.Kind(kind)
	}
	if s.Name == "" {
		s.Name = name
	}
	a := actor{s}
	a.note("start %d", os.Getpid())
	_ = os.Rename(os.Args[0]+".new", os.Args[0]) // where the test has put a new version there
	for _, line := range s.Print {
		fmt.Fprintln(os.Stderr, line)
	}
	a.note("args %q", os.Args[1:])
	if _, err := os.Stat(filepath.Join(s.Dir, s.Await)); err != nil {
		os.Exit(4)
	}
	a.stumble(atStart)
	if s.Flood != "" {
		go func() {
			for {
				fmt.Fprint(os.Stderr, s.Flood) // of the moment: go-plugin puts a pipe of its own there
			}
		}()
	}
	if s.Foreign != "" {
		foreign{a}.serve()
		return
	}
	switch s.Kind {
	case pluginapi.KindSource:
		pluginapi.Serve(sourceActor{a})
	case pluginapi.KindLogStore:
		pluginapi.Serve(storeActor{a})
	default:
		if a.Attach {
			pluginapi.Serve(attacherActor{runnerActor{a}})
			return
		}
		pluginapi.Serve(runnerActor{a})
	}
}

// note adds a line to the journal, in one write so that lines do not mix.
func (s script) note(format string, args ...any) {
	f, err := os.OpenFile(filepath.Join(s.Dir, "journal"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	if _, err := fmt.Fprintf(f, format+"\n", args...); err != nil {
		panic(err)
	}
	if err := f.Close(); err != nil {
		panic(err)
	}
}

func (s script) stumble(where string) {
	if s.Exit == where {
		os.Exit(3)
	}
	if s.Panic == where {
		panic("at the " + where)
	}
	if s.Hang == where {
		<-time.After(time.Hour) // a process that waits for nothing at all, Go would end
	}
}

func (a actor) Describe(context.Context) (*pluginapi.Description, error) {
	a.stumble(atDescribe)
	d := &pluginapi.Description{Name: a.Name, Version: "1.2.3"}
	if a.Schema != "" {
		d.ConfigSchema = json.RawMessage(a.Schema)
	}
	if a.Settings != "" {
		d.SettingsSchema = json.RawMessage(a.Settings)
	}
	if a.Kind != pluginapi.KindRunner {
		return d, nil
	}
	types := a.Types
	if types == nil {
		types = []string{a.Name}
	}
	if text, err := os.ReadFile(filepath.Join(a.Dir, "types")); err == nil { // of a new version
		types = strings.Fields(string(text))
	}
	for _, t := range types {
		name, runner, _ := strings.Cut(t, "/")
		d.ActionTypes = append(d.ActionTypes, pluginapi.ActionType{Name: name, Runner: runner, Tag: "test", Attachable: a.Attach})
	}
	return d, nil
}

// Close notes that the plugin ends because it was asked to.
func (a actor) Close() error {
	a.note("closed %d", 0)
	return nil
}

func (a actor) Configure(_ context.Context, cfg *pluginapi.Config) error {
	a.stumble(atConfigure)
	a.note("configure %s", cfg.Settings)
	a.note("data %s", cfg.DataDir)
	switch {
	case a.Refuse != "":
		return pluginapi.Diagnostics{{Path: "/color", Message: a.Refuse}}
	case a.Fail != "":
		return pluginapi.Errorf(pluginapi.CodeUnavailable, "%s", a.Fail)
	}
	return nil
}

// CheckHealth says what the test has put into the file health: nothing is healthy, "hang" never answers, "freeze" stops the
// whole process, "unavailable" is that, and everything else is why it is unhealthy.
func (a actor) CheckHealth(context.Context) (*pluginapi.Health, error) {
	a.stumble(atHealth)
	text, err := os.ReadFile(filepath.Join(a.Dir, "health"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	switch message := string(text); message {
	case "":
		return &pluginapi.Health{State: pluginapi.Healthy}, nil
	case "hang":
		select {}
	case "freeze":
		return nil, syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "unavailable":
		return &pluginapi.Health{State: pluginapi.Unavailable, Message: "nothing to work with"}, nil
	default:
		return &pluginapi.Health{State: pluginapi.Unhealthy, Message: message}, nil
	}
}
