package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/coretest"
)

// system is a server and a worker as users run them, on a schema of their own.
type system struct {
	*client.Client
	dir, bin, listen string
	database         string // with the schema
	base             string // without
	server, worker   *exec.Cmd
	others           []*exec.Cmd // more workers
}

const token = "token of the benchmark"

// sealingKey is that of all servers on the database.
const sealingKey = "YmVuY2htYXJrIGJlbmNobWFyayBiZW5jaG1hcmsgYmU="

// newSystem starts a system with the workspace of the tasks that are measured, and with others by name and directory.
func newSystem(ctx context.Context, bin string, others func(dir string) (map[string]string, error)) (s *system, err error) {
	s = &system{base: os.Getenv(coretest.DatabaseURL)}
	if s.base == "" {
		return nil, errors.New(coretest.DatabaseURL + " names no PostgreSQL: run `make bench`")
	}
	if s.bin, err = filepath.Abs(bin); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "stroem-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	schema := fmt.Sprintf("bench_%d", time.Now().Unix())
	conn, err := pgx.Connect(ctx, s.base)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	_, err = conn.Exec(ctx, "create schema "+schema)
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		return nil, fmt.Errorf("create a schema: %w", err)
	}
	s.database = s.base + "&search_path=" + schema
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.listen = l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	if s.Client, err = client.New(client.Options{Server: "http://" + s.listen}); err != nil {
		return nil, err
	}
	workspace := filepath.Join(s.dir, "workspace")
	if err := writeWorkspace(workspace); err != nil {
		return nil, err
	}
	workspaces := map[string]any{"default": map[string]any{"type": "folder", "path": workspace}}
	if others != nil {
		dirs, err := others(filepath.Join(s.dir, "workspaces"))
		if err != nil {
			return nil, err
		}
		for name, dir := range dirs {
			workspaces[name] = map[string]any{"type": "folder", "path": dir}
		}
	}
	plugins := map[string]any{"dir": filepath.Join(s.bin, "plugins")}
	if s.server, err = s.start(ctx, "stroem-server", "server", map[string]any{
		"listen": s.listen, "data_dir": filepath.Join(s.dir, "server"), "db": map[string]any{"url": s.database}, "worker_token": token,
		"workspaces": workspaces, "plugins": plugins, "secrets": map[string]any{"key": sealingKey},
	}); err != nil {
		return nil, err
	}
	if err := until(ctx, func() bool { return s.Ready(ctx) == nil }); err != nil {
		return nil, fmt.Errorf("the server: %w", err)
	}
	s.worker, err = s.startWorker(ctx, "worker")
	return s, err
}

// startWorker starts a worker that has its name as a tag, too.
func (s *system) startWorker(ctx context.Context, name string) (*exec.Cmd, error) {
	worker, err := s.start(ctx, "stroem-worker", name, map[string]any{
		"server_url": "http://" + s.listen, "worker_token": token, "worker_name": name, "data_dir": filepath.Join(s.dir, name),
		"max_concurrent": 4, "tags": []string{name}, "plugins": map[string]any{"dir": filepath.Join(s.bin, "plugins")},
	})
	if err != nil {
		return nil, err
	}
	return worker, until(ctx, func() bool {
		workers, err := s.Workers(ctx, 10, 0)
		return err == nil && slices.ContainsFunc(workers, func(w api.Worker) bool { return w.Name == name })
	})
}

func (s *system) start(ctx context.Context, program, name string, config map[string]any) (*exec.Cmd, error) {
	data, err := yaml.Marshal(config)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(s.dir, name+".yaml")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, program), "-c", file)
	cmd.Stderr = os.Stderr
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "STROEM__LOG__LEVEL=warn"}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	return cmd, cmd.Start()
}

func (s *system) close() {
	for _, cmd := range append(s.others, s.worker, s.server) {
		if cmd != nil && cmd.Process != nil {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		}
	}
	_ = os.RemoveAll(s.dir)
}

func until(ctx context.Context, condition func() bool) error {
	deadline := time.Now().Add(30 * time.Second)
	for !condition() {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return errors.New("not ready after 30 s")
		}
		<-time.After(10 * time.Millisecond)
	}
	return nil
}

// writeWorkspace writes the tasks that are measured.
func writeWorkspace(dir string) error {
	flow := func(steps int, step func(i int) string) string {
		var b strings.Builder
		for i := range steps {
			fmt.Fprintf(&b, "      s%05d: %s\n", i, step(i))
		}
		return b.String()
	}
	var b strings.Builder
	b.WriteString("actions:\n  nothing: {type: shell, cmd: ':'}\n  'true': {type: shell, cmd: 'true'}\n  noop: {type: shell, cmd: ':', tags: [noop]}\n" +
		"  wait: {type: shell, cmd: 'while ! [ -e \"$INPUT_FILE\" ]; do sleep 0.01; done'}\n  million: {type: shell, cmd: \"seq -f '%099.0f' 1000000\"}\ntasks:\n")
	b.WriteString("  single:\n    flow:\n" + flow(1, func(int) string { return "{action: nothing}" }))
	b.WriteString("  noop:\n    flow:\n" + flow(1, func(int) string { return "{action: noop}" }))
	b.WriteString("  chain:\n    flow:\n" + flow(50, func(i int) string {
		if i == 0 {
			return "{action: 'true'}"
		}
		return fmt.Sprintf("{action: 'true', depends_on: [s%05d]}", i-1)
	}))
	b.WriteString(`  million:
    input: {file: {type: string}}
    flow:
      wait: {action: wait, input: {file: "{{ input.file }}"}}
      print: {action: million, depends_on: [wait]}
`)
	for _, n := range []int{1_000, 9_998} {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("s%05d", i))
		}
		fmt.Fprintf(&b, "  fan-%d:\n    flow:\n%s      join: {action: noop, depends_on: [%s]}\n", n,
			flow(n, func(int) string { return "{action: noop}" }), strings.Join(all, ", "))
	}
	if err := os.MkdirAll(filepath.Join(dir, ".workflows"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, ".workflows", "bench.yaml"), []byte(b.String()), 0o644)
}
