package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// follow hands on what is kept from since on, until the run has ended. When the host is gone it leaves the run alone.
func (s state) follow(ctx context.Context, since time.Time, grace time.Duration, out pluginapi.Output) (*pluginapi.Result, error) {
	file, err := os.Open(filepath.Join(s.Dir, "output"))
	for errors.Is(err, os.ErrNotExist) && s.lives() { // not created yet
		file, err = os.Open(filepath.Join(s.Dir, "output"))
	}
	if err != nil {
		return nil, fmt.Errorf("open the output: %w", err)
	}
	defer func() { _ = file.Close() }()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	stopped, killed := ctx.Done(), (<-chan time.Time)(nil)
	var rest []byte
	for {
		over := !s.lives()
		if rest, err = copyRecords(file, rest, since, out); err != nil {
			return nil, err
		}
		if over {
			return s.result(), nil
		}
		select {
		case <-ticker.C:
		case <-killed:
			s.signal(syscall.SIGKILL)
		case <-stopped:
			if cause := context.Cause(ctx); errors.Is(cause, pluginapi.ErrHostGone) {
				return nil, cause
			}
			s.signal(syscall.SIGTERM)
			stopped, killed = nil, time.After(grace)
		}
	}
}

// copyRecords hands on the whole records in the file behind rest, and returns what is left.
func copyRecords(file io.Reader, rest []byte, since time.Time, out pluginapi.Output) ([]byte, error) {
	more, err := io.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("read the output: %w", err)
	}
	rest = append(rest, more...)
	for {
		line, after, found := bytes.Cut(rest, []byte("\n"))
		if !found {
			return rest, nil
		}
		rest = after
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("read a record: %w", err)
		}
		if r.At.Before(since) {
			continue
		}
		w := out.Stdout()
		if r.Stderr {
			w = out.Stderr()
		}
		if _, err := pluginapi.WriteTimed(w, r.Data, r.At); err != nil {
			return nil, err
		}
	}
}

func (s state) result() *pluginapi.Result {
	text, err := os.ReadFile(filepath.Join(s.Dir, "code"))
	code, err2 := strconv.Atoi(string(text))
	if err != nil || err2 != nil {
		return &pluginapi.Result{ExitCode: -1, Signal: "SIGKILL"}
	}
	return &pluginapi.Result{ExitCode: code}
}

// lives tells whether the keeper runs; its number may be another process's by now.
func (s state) lives() bool {
	command, err := os.ReadFile("/proc/" + strconv.Itoa(s.Keeper) + "/cmdline") // empty for one that is not reaped yet
	return err == nil && bytes.Contains(command, []byte(s.Dir))
}

// appears waits until the keeper can be told by its command line, which it has a moment after its start, or has ended.
func (s state) appears(ended <-chan struct{}) {
	for !s.lives() {
		select {
		case <-ended:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func (s state) signal(sig syscall.Signal) {
	if s.lives() {
		_ = syscall.Kill(-s.Keeper, sig)
	}
}
