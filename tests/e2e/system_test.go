package e2e

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/coretest"
)

// system is a server and its workers, on a database schema of their own.
type system struct {
	t      *testing.T
	dir    string
	listen string
	*client.Client

	serverConfig  map[string]any
	serverProgram string
	serverEnv     []string // beside what each process gets
	server        *process
}

const token = "token of the end-to-end tests"

type settings = map[string]any

// newSystem starts a server with one workspace for each of the given directories. extra is added to its configuration.
func newSystem(t *testing.T, workspaces map[string]string, extra settings) *system {
	t.Helper()
	return newSystemOn(t, coretest.Postgres(t), workspaces, extra)
}

func newSystemOn(t *testing.T, database string, workspaces map[string]string, extra settings) *system {
	t.Helper()
	s := configure(t, database, workspaces, extra)
	s.startServer()
	return s
}

// configure is newSystemOn without a start.
func configure(t *testing.T, database string, workspaces map[string]string, extra settings) *system {
	t.Helper()
	s := &system{t: t, dir: coretest.TempDir(t), listen: freeAddress(t), serverProgram: "stroem-server"}
	sources := settings{}
	for name, dir := range workspaces {
		sources[name] = settings{"type": "folder", "path": dir}
	}
	s.serverConfig = settings{
		"listen": s.listen, "data_dir": filepath.Join(s.dir, "server"), "db": settings{"url": database},
		"worker_token": token, "workspaces": sources, "plugins": settings{"dir": filepath.Join(bin, "plugins")},
	}
	maps.Copy(s.serverConfig, extra)
	var err error
	s.Client, err = client.New(client.Options{Server: "http://" + s.listen})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// reachableAt has the server listen at another address than the loopback interface's, which is before it is started.
func (s *system) reachableAt(listen string) {
	s.t.Helper()
	s.listen = listen
	s.serverConfig["listen"], s.serverConfig["insecure_no_auth"] = listen, true
	var err error
	s.Client, err = client.New(client.Options{Server: "http://" + listen})
	require.NoError(s.t, err)
	s.t.Cleanup(s.Close)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

func writeYAML(t *testing.T, path string, content any) string {
	t.Helper()
	data, err := yaml.Marshal(content)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

// startServer starts the server, after a crash once more, and waits until it is ready.
func (s *system) startServer() {
	s.t.Helper()
	s.server = start(s.t, "server", s.serverProgram, writeYAML(s.t, filepath.Join(s.dir, "server.yaml"), s.serverConfig), s.serverEnv...)
	s.eventually("the server is ready", func(ctx context.Context) bool {
		select {
		case <-s.server.done:
			s.t.Fatalf("the server ended:\n%s", s.server.log)
		default:
		}
		return s.Ready(ctx) == nil
	})
}

// startWorker starts a worker and waits until it is registered.
func (s *system) startWorker(name string, extra settings) *process {
	s.t.Helper()
	known := s.registrations(s.t.Context(), name)
	config := settings{
		"server_url": "http://" + s.listen, "worker_token": token, "worker_name": name,
		"data_dir": filepath.Join(s.dir, name), "stop_grace_secs": 1, "drain_secs": 1,
		"plugins": settings{"dir": filepath.Join(bin, "plugins")},
	}
	maps.Copy(config, extra)
	p := start(s.t, name, "stroem-worker", writeYAML(s.t, filepath.Join(s.dir, name+".yaml"), config))
	s.eventually(name+" is registered", func(ctx context.Context) bool {
		select {
		case <-p.done:
			s.t.Fatalf("%s ended:\n%s", name, p.log)
		default:
		}
		return s.registrations(ctx, name) > known
	})
	return p
}

func (s *system) registrations(ctx context.Context, name string) (n int) {
	workers, err := s.Workers(ctx, 500, 0)
	if err != nil {
		return 0
	}
	for _, w := range workers {
		if w.Name == name {
			n++
		}
	}
	return n
}

// eventually waits for a condition that other processes bring about.
func (s *system) eventually(what string, condition func(context.Context) bool) {
	s.t.Helper()
	require.True(s.t, poll(s.t.Context(), condition), "waited in vain until %s", what)
}

// poll asks for a condition again and again, and tells whether it came about within a minute. The condition may end the
// test: it is asked here and not, as by require.Eventually, in another goroutine.
func poll(ctx context.Context, condition func(context.Context) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !condition(ctx) {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}

func (s *system) execute(workspace, task string, input map[string]any) string {
	s.t.Helper()
	created, err := s.Execute(s.t.Context(), workspace, task, api.ExecuteRequest{Input: input}, "")
	require.NoError(s.t, err)
	return created.JobID
}

// wait returns the job once it has ended.
func (s *system) wait(id string) api.JobDetail {
	s.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		job, err := s.Job(s.t.Context(), id, 10*time.Second)
		require.NoError(s.t, err)
		if core.JobStatus(job.Status).Terminal() {
			return job
		}
		require.False(s.t, time.Now().After(deadline), "job %s is still %s: %s", id, job.Status, describeSteps(job))
	}
}

func describeSteps(job api.JobDetail) string {
	text := ""
	for _, step := range job.Steps {
		text += fmt.Sprintf("%s=%s ", step.StepName, step.Status)
	}
	return text
}

// workspace makes a workspace of one file.
func workspace(t *testing.T, content string) map[string]string {
	t.Helper()
	dir := coretest.TempDir(t)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".workflows"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".workflows", "test.yaml"), []byte(content), 0o600))
	return map[string]string{"default": dir}
}
