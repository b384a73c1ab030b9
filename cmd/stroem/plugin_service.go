package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// service is a command that runs while a plugin is checked.
type service struct {
	address string // the first line that it printed
	cancel  context.CancelFunc
	done    chan struct{} // it has ended, and so has its output
}

const (
	serviceStart = 30 * time.Second // until a service has printed its address
	serviceDelay = 2 * time.Second  // for the output of one that was ended
)

// startService runs a command until it is ended, and waits for its address.
func startService(ctx context.Context, dir string, command []string, stderr io.Writer) (*service, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // named by the user
	cmd.Dir, cmd.Stderr, cmd.WaitDelay = dir, stderr, serviceDelay
	inOwnGroup(cmd)
	reader, writer := io.Pipe()
	cmd.Stdout = writer
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	s := &service{cancel: cancel, done: make(chan struct{})}
	first := make(chan string, 1)
	go func() {
		defer close(s.done)
		lines := bufio.NewReader(reader)
		line, _ := lines.ReadString('\n') // what there is
		first <- strings.TrimSpace(line)
		_, _ = io.Copy(io.Discard, lines)
	}()
	go func() { // the reader above waits for this
		_ = cmd.Wait()
		_ = writer.Close()
	}()
	select {
	case s.address = <-first:
	case <-time.After(serviceStart):
	}
	if s.address == "" {
		s.end()
		return nil, fmt.Errorf("start %s: its first line of output has to be its address, and there was none", command[0])
	}
	return s, nil
}

// end ends the service, with all that it started, and waits for that.
func (s *service) end() {
	s.cancel()
	<-s.done
}
