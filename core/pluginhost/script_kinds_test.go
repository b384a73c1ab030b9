//go:build unix

package pluginhost_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/stroem/stroem/pluginapi"
)

type runnerActor struct{ actor }

// Run does what the spec, a JSON string, says.
func (a runnerActor) Run(ctx context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	var do string
	if err := json.Unmarshal(req.Spec, &do); err != nil {
		return nil, err
	}
	if err := out.Started([]byte("state of " + req.RunID)); err != nil {
		return nil, err
	}
	if do == "child" || do == "orphan" { // holds the named pipe open, and is in the plugin's process group
		held, err := os.OpenFile(filepath.Join(a.Dir, "held"), os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		child := exec.CommandContext(context.WithoutCancel(ctx), "sleep", "120")
		child.ExtraFiles = []*os.File{held}
		if err := child.Start(); err != nil {
			return nil, err
		}
	}
	words := fmt.Sprint(os.Getpid())
	if do == "env" {
		words = strings.Join(os.Environ(), "\n")
	}
	if _, err := fmt.Fprintln(out.Stdout(), words); err != nil {
		return nil, err
	}
	switch do {
	case "fail":
		return nil, pluginapi.Errorf(pluginapi.CodePrecondition, "no luck today")
	case "log":
		fmt.Fprintln(os.Stderr, "plain words")
		pluginapi.NewLogger().WarnContext(ctx, "disk is nearly full", "free", 3)
		return &pluginapi.Result{}, nil
	case "gate": // a named pipe: the read ends when the test has opened and closed its end
		_, err := os.ReadFile(filepath.Join(a.Dir, "gate"))
		return &pluginapi.Result{ExitCode: 7}, err
	case "panic":
		panic("in the middle of a run")
	case "hold", "child":
		<-ctx.Done()
		return &pluginapi.Result{ExitCode: -1, Signal: "SIGTERM", Message: context.Cause(ctx).Error()}, nil
	case "stubborn":
		select {}
	}
	return &pluginapi.Result{}, nil
}

// attacherActor takes runs up again that have left nothing but their state.
type attacherActor struct{ runnerActor }

func (a attacherActor) Attach(_ context.Context, req *pluginapi.AttachRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	a.note("attach %s %s", req.RunID, req.State)
	return &pluginapi.Result{ExitCode: 5}, out.Started(req.State)
}

func (a runnerActor) Remove(ctx context.Context, req *pluginapi.RemoveRequest) error {
	a.note("remove %s %s", req.RunID, req.State)
	switch {
	case strings.HasPrefix(req.RunID, "meets-"): // the other two
		meeting.Done()
		meeting.Wait()
	case strings.HasPrefix(req.RunID, "stuck-"):
		<-ctx.Done()
	}
	return ctx.Err()
}

var meeting = func() *sync.WaitGroup {
	var three sync.WaitGroup
	three.Add(3)
	return &three
}()

type sourceActor struct{ actor }

func (sourceActor) Resolve(_ context.Context, req *pluginapi.ResolveRequest) (*pluginapi.Revision, error) {
	return &pluginapi.Revision{ID: "head-of-" + req.Workspace}, nil
}

func (a sourceActor) Fetch(ctx context.Context, _ *pluginapi.FetchRequest) (*pluginapi.Revision, error) {
	a.note("fetch -")
	<-ctx.Done()
	return nil, ctx.Err()
}

// storeActor holds one object, "endless", of which the first bytes are there and the rest never comes.
type storeActor struct{ actor }

func (storeActor) Put(_ context.Context, _ *pluginapi.PutRequest, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func (storeActor) Get(ctx context.Context, req *pluginapi.GetRequest) (io.ReadCloser, error) {
	if req.Key != "endless" {
		return nil, pluginapi.Errorf(pluginapi.CodeNotFound, "there is no %s", req.Key)
	}
	return io.NopCloser(io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), never{ctx})), nil
}

func (storeActor) Stat(_ context.Context, req *pluginapi.StatRequest) (*pluginapi.ObjectInfo, error) {
	return &pluginapi.ObjectInfo{Key: req.Key, Size: 42}, nil
}

func (storeActor) Delete(context.Context, *pluginapi.DeleteRequest) error { return nil }

type never struct{ ctx context.Context }

func (n never) Read([]byte) (int, error) {
	<-n.ctx.Done()
	return 0, n.ctx.Err()
}
