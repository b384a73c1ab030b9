package worker_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/worker"
	"github.com/stroem/stroem/pluginapi"
)

// reads is a step that ends with the content of a file of its workspace as its output.
func reads(name string, dirs chan<- string) behaviour {
	return func(_ context.Context, req *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
		content, err := os.ReadFile(filepath.Join(req.Workspace.Dir, name))
		if err == nil {
			_, err = out.Stdout().Write(append(content, '\n'))
		}
		dirs <- req.Workspace.Dir
		return &pluginapi.Result{}, err
	}
}

// Steps of one revision share its directory and its download. Another revision of the same name, from another source, is
// another directory.
func TestStepsShareARevision(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.archives["other"] = pack(t, map[string]string{"hello.txt": "hi"})
	dirs := make(chan string, 10)
	steps := map[string]behaviour{}
	for _, name := range []string{"a", "b", "c", "d"} {
		steps[name] = reads("hello.txt", dirs)
	}
	first, second := "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	added := map[string]*step{}
	for name, digest := range map[string]string{"a": first, "b": first, "c": second, "d": ""} {
		added[name] = s.add(name, func(st *step) {
			st.RevisionDigest = digest
			if digest == second {
				st.WorkspaceURL = "/worker/workspace/ws.tar.gz?revision=other"
			}
		})
	}
	startWorker(t, s, newScripted(steps))
	seen := map[string]int{}
	for name, want := range map[string]string{"a": "hello", "b": "hello", "c": "hi", "d": "hello"} {
		require.Empty(t, s.result(added[name]).Error)
		s.do(func() { require.Contains(t, added[name].log, `"line":"`+want+`"`) })
		seen[filepath.Base(<-dirs)]++
	}
	require.Equal(t, map[string]int{"rev1." + first: 2, "rev1." + second: 1, "rev1": 1}, seen)
	s.do(func() {
		require.Equal(t, 2, s.calls["/worker/workspace/ws.tar.gz?revision=rev1"], "once for each directory")
		require.Equal(t, 1, s.calls["/worker/workspace/ws.tar.gz?revision=other"])
	})
}

// A runner that has the files downloaded where its step runs gets their address and a token for it, and no files.
func TestDownloadableWorkspace(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	requests := make(chan *pluginapi.RunRequest, 1)
	runner := newScripted(map[string]behaviour{"pod": func(_ context.Context, req *pluginapi.RunRequest, _ pluginapi.Output) (*pluginapi.Result, error) {
		requests <- req
		return &pluginapi.Result{}, nil
	}})
	onPods := func(spec string) *step {
		return s.add("pod", func(st *step) {
			st.Runner, st.ActionSpec = "pod", json.RawMessage(spec)
			st.WorkspaceURL = "/worker/workspace/ws.tar.gz?revision=rev1&step_id=1"
		})
	}
	startWorker(t, s, runner, func(o *worker.Options) { o.DownloadURL = "https://stroem.example.com/base/" })
	for spec, writable := range map[string]bool{
		`{"type": "shell", "runner": "pod", "cmd": "true"}`:                      false,
		`{"type": "shell", "runner": "pod", "cmd": "true", "workspace": "copy"}`: true,
	} {
		st := onPods(spec)
		require.Empty(t, s.result(st).Error)
		require.Equal(t, pluginapi.Workspace{
			URL:   "https://stroem.example.com/base/worker/workspace/ws.tar.gz?revision=rev1&step_id=1",
			Token: "token of " + strconv.FormatInt(st.StepID, 10), Writable: writable,
		}, (<-requests).Workspace)
	}
	s.do(func() { require.Zero(t, s.calls["/worker/workspace/ws.tar.gz?revision=rev1&step_id=1"]) })
}

func TestWorkspaceThatCannotBeReached(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	st := s.add("pod", func(st *step) {
		st.Runner, st.ActionSpec = "pod", json.RawMessage(`{"type": "shell", "runner": "pod", "cmd": "true"}`)
	})
	startWorker(t, s, newScripted(nil))
	require.Equal(t, "Failed to download workspace: the worker knows no address of the server that the step could reach: "+
		"set download_url in the worker's configuration", s.result(st).Error)
}
