//go:build linux

// Package dockerd runs Docker engines for tests, each in an enclosure: it is apart from others on the machine, and nothing of it
// is left. It needs root and what scripts/install-docker installs.
package dockerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stroem/stroem/tests/enclosure"
)

// Options say what is different from an engine as it is by default.
type Options struct {
	// LiveRestore has containers go on when the daemon ends.
	LiveRestore bool
	// Supervised has a daemon that ends started again, as the machine's service manager does.
	Supervised bool
}

// Engine is one that runs. Its methods are for one goroutine.
type Engine struct {
	enclosure *enclosure.Enclosure
}

// Inside is called first in main of programs that call [Start], because these are started anew inside the enclosure. It does
// nothing elsewhere.
func Inside() { enclosure.Inside(serve) }

// Start starts an engine and returns when it answers.
func Start(ctx context.Context, options Options) (*Engine, error) {
	around, err := enclosure.Start(enclosure.Options{Name: "docker"})
	if err != nil {
		return nil, err
	}
	e := &Engine{enclosure: around}
	if err := e.start(ctx, options); err != nil {
		return nil, errors.Join(fmt.Errorf("start a Docker engine: %w", err), e.Stop())
	}
	return e, nil
}

func (e *Engine) start(ctx context.Context, options Options) error {
	// Containers reach this machine at the address of the bridge.
	bridge, number, err := e.enclosure.Link(func(name string) error { return ip(ctx, "link", "add", name, "type", "bridge") })
	if err != nil {
		return err
	}
	if err := ip(ctx, "address", "add", fmt.Sprintf("10.233.%d.1/24", number), "dev", bridge); err != nil {
		return err
	}
	if err := ip(ctx, "link", "set", bridge, "up"); err != nil {
		return err
	}
	return e.enclosure.Serve(ctx, settings{Options: options, Bridge: bridge})
}

func ip(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %v: %w: %s", args, err, out)
	}
	return nil
}

// Host is the engine's address.
func (e *Engine) Host() string { return "unix://" + socket(e.enclosure.Dir) }

// Stop ends the engine with its containers and removes all of it.
func (e *Engine) Stop() error { return e.enclosure.Stop() }

// Restart ends the daemon of a supervised engine by a signal, and returns when the next one answers.
func (e *Engine) Restart(ctx context.Context, signal syscall.Signal) error {
	pid, err := e.daemon()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, signal); err != nil {
		return fmt.Errorf("signal the daemon: %w", err)
	}
	for {
		next, err := e.daemon()
		if err == nil && next != pid {
			err = ping(ctx, socket(e.enclosure.Dir))
		} else if err == nil {
			err = errors.New("it goes on")
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("restart the daemon: %w: %w", context.Cause(ctx), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// daemon looks for the daemon's process.
func (e *Engine) daemon() (pid int, err error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, dir := range dirs {
		text, _ := os.ReadFile(filepath.Join(dir, "cmdline")) // it may have ended meanwhile
		program, args, _ := strings.Cut(string(text), "\x00")
		if filepath.Base(program) == "dockerd" && strings.Contains(args, "--pidfile="+pidFile(e.enclosure.Dir)+"\x00") {
			return strconv.Atoi(filepath.Base(dir))
		}
	}
	return 0, errors.New("the daemon does not run")
}
