//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// BenchmarkRun compares the shortest step with what starting its shell costs at least. Both make the step's scratch
// directory, as a host has to.
func BenchmarkRun(b *testing.B) {
	path, err := buildBinary()
	require.NoError(b, err)
	r := hostapi.NewRunner(plugintest.Binary(path)(b), "runner(shell)")
	require.NoError(b, r.Configure(b.Context(), &pluginapi.Config{}))
	workspace, root := b.TempDir(), b.TempDir()
	var last atomic.Int64
	scratch := func() (id, dir string, err error) {
		id = strconv.FormatInt(last.Add(1), 10)
		dir = filepath.Join(root, id)
		return id, dir, os.Mkdir(dir, 0o700)
	}
	steps := map[string]func() error{
		"exec": func() error {
			_, dir, err := scratch()
			if err != nil {
				return err
			}
			var stdout, stderr bytes.Buffer
			cmd := exec.CommandContext(b.Context(), "sh", "-c", ":")
			cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
			return cmd.Run()
		},
		"plugin": func() error {
			id, dir, err := scratch()
			if err != nil {
				return err
			}
			_, err = r.Run(b.Context(), &pluginapi.RunRequest{
				RunID: id, Type: "shell", Runner: "local", Spec: json.RawMessage(`{"cmd": ":"}`),
				Workspace: pluginapi.Workspace{Dir: workspace}, ScratchDir: dir,
			}, plugintest.NewRecorder())
			return err
		},
	}
	for _, name := range slices.Sorted(maps.Keys(steps)) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				require.NoError(b, steps[name]())
			}
		})
		b.Run(name+" in parallel", func(b *testing.B) {
			b.SetParallelism(4)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := steps[name](); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
