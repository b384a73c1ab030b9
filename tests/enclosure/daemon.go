//go:build linux

package enclosure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Daemons are what a serving process runs. They end with the enclosure.
type Daemons struct {
	logs  string
	ended chan error
}

// NewDaemons returns those that write their logs into dir.
func NewDaemons(dir string) (*Daemons, error) {
	logs := filepath.Join(dir, logDir)
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return nil, err
	}
	return &Daemons{logs: logs, ended: make(chan error)}, nil
}

// Start starts a daemon, which is not meant to end.
func (d *Daemons) Start(name, program string, args ...string) error {
	log, err := os.Create(filepath.Join(d.logs, name+".log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(program, args...) //nolint:noctx // ends with the enclosure
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = os.Environ()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		err := cmd.Wait()
		d.ended <- fmt.Errorf("%s ended: %w\n%s", name, errors.Join(err), d.lastLines(name))
	}()
	return nil
}

// Await asks until the answer is nil. It gives up after two minutes or when a daemon ends.
func (d *Daemons) Await(ctx context.Context, what string, ask func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case ended := <-d.ended:
			return ended
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Wait returns when the first daemon ends, and why.
func (d *Daemons) Wait() error {
	return <-d.ended
}

func (d *Daemons) lastLines(name string) string {
	content, err := os.ReadFile(filepath.Join(d.logs, name+".log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
