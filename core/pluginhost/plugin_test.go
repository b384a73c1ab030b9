package pluginhost_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// scripted is the plugin that the test program is when it is called runner-<name>. Its first argument says how it
// behaves, the second the action type that it offers.
type scripted struct {
	name, behaviour, actionType string
}

// The behaviours other than that of a good plugin.
const (
	exits  = "exits"  // at once
	hangs  = "hangs"  // before it has described itself
	mute   = "mute"   // answers no health check
	asFile = "asFile" // its health is what the file STROEM_TEST_HEALTH says
)

// actAsPlugin is the main function of the test program as a plugin.
func actAsPlugin(file string) {
	p := &scripted{name: strings.TrimPrefix(file, "runner-"), actionType: "test." + file}
	if len(os.Args) > 1 {
		p.behaviour = os.Args[1]
	}
	if len(os.Args) > 2 {
		p.actionType = os.Args[2]
	}
	switch p.behaviour {
	case exits:
		fmt.Fprintln(os.Stderr, "no plugin today")
		os.Exit(3)
	case hangs:
		select {}
	}
	pluginapi.Serve(p)
}

func (p *scripted) Describe(context.Context) (*pluginapi.Description, error) {
	return &pluginapi.Description{
		Name: p.name, Version: "1.2.3", ConfigSchema: json.RawMessage(`{"type": "object", "properties": {"color": {"type": "string"}}, "additionalProperties": false}`),
		ActionTypes: []pluginapi.ActionType{{Name: p.actionType, Tag: "test", SpecSchema: json.RawMessage(`{"type": "object"}`)}},
	}, nil
}

func (p *scripted) Configure(_ context.Context, cfg *pluginapi.Config) error {
	if strings.Contains(string(cfg.Settings), "plaid") {
		return pluginapi.Errorf(pluginapi.CodeInvalid, "plaid is no color")
	}
	return nil
}

func (p *scripted) CheckHealth(ctx context.Context) (*pluginapi.Health, error) {
	switch p.behaviour {
	case mute:
		<-ctx.Done()
	case asFile:
		if text, err := os.ReadFile(os.Getenv("STROEM_TEST_HEALTH")); err == nil && len(text) > 0 {
			return &pluginapi.Health{State: pluginapi.Unhealthy, Message: string(text)}, nil
		}
	}
	return &pluginapi.Health{State: pluginapi.Healthy}, nil
}

// Run does what the spec says: env prints the environment, hold spawns a child that holds the pipe HELD open and waits.
func (p *scripted) Run(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	var spec struct{ Do string }
	if err := json.Unmarshal(req.Spec, &spec); err != nil {
		return nil, err
	}
	if err := out.Started(nil); err != nil {
		return nil, err
	}
	switch spec.Do {
	case "env":
		_, err := fmt.Fprintln(out.Stdout(), strings.Join(os.Environ(), "\n"))
		return &pluginapi.Result{}, err
	case "hold":
		child := exec.CommandContext(context.WithoutCancel(ctx), "sh", "-c", `exec 9>"$HELD"; sleep 120`)
		child.Env = append(os.Environ(), "HELD="+req.Env["HELD"])
		if err := child.Start(); err != nil {
			return nil, err
		}
		if _, err := fmt.Fprintln(out.Stdout(), os.Getpid()); err != nil {
			return nil, err
		}
		<-ctx.Done()
		_ = child.Process.Kill()
		_ = child.Wait()
		return &pluginapi.Result{ExitCode: -1, Signal: "SIGKILL"}, nil
	default:
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "cannot do %q", spec.Do)
	}
}

func (p *scripted) Remove(context.Context, *pluginapi.RemoveRequest) error { return nil }

// quickBackoff is a back-off for which a test does not wait long.
const quickBackoff = 5 * time.Millisecond

// self is the test program.
func self() string {
	path, err := os.Executable()
	if err != nil {
		panic(err) // no test can run then
	}
	return filepath.Clean(path)
}
