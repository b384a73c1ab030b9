//go:build linux

// Package enclosure runs daemons in namespaces of their own: processes, mounts and, if wanted, a network. So several of a
// kind can run on one machine, what they write stays in one directory, and nothing of them is left when they end: the
// kernel ends their processes and removes their mounts and network, and what remains is cleared away from inside and, if
// even that was killed, by the next one. It needs root.
//
// The program that calls [Start] is started anew inside, where [Inside] takes over.
package enclosure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// Options say what an enclosure has for itself beside processes and mounts.
type Options struct {
	// Name is a short word, with which everything begins that can be seen from outside.
	Name string
	// Network is whether it has a network of its own, and is not part of the machine's.
	Network bool
}

// Enclosure is one that runs. Its methods are for one goroutine.
type Enclosure struct {
	// Dir is the directory for its files, and the base of its name that of its cgroup.
	Dir   string
	link  Link
	lock  *os.File
	init  *exec.Cmd
	input io.WriteCloser
	ready io.ReadCloser
	ended chan struct{}
}

// Start starts an enclosure whose inside waits for [Enclosure.Serve]. Before that, it clears away what others of the same name
// have left that were killed. The caller stops it, and waits for that.
func Start(options Options) (*Enclosure, error) {
	removeLeftovers(options.Name)
	e := &Enclosure{ended: make(chan struct{})}
	var err error
	if e.Dir, e.lock, err = makeDir(options.Name); err != nil {
		return nil, err
	}
	if err := e.start(options); err != nil {
		_ = clearAway(e.Dir)
		return nil, errors.Join(err, e.lock.Close())
	}
	return e, nil
}

func (e *Enclosure) start(options Options) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	ready, announce, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	e.ready = ready
	e.init = exec.Command(program) //nolint:noctx // ends when its input does
	e.init.Env = append(os.Environ(), role+"="+roleInit, directory+"="+e.Dir)
	e.init.Stderr = os.Stderr
	e.init.ExtraFiles = []*os.File{announce}
	e.init.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	if options.Network {
		e.init.SysProcAttr.Cloneflags |= syscall.CLONE_NEWNET
	}
	if e.input, err = e.init.StdinPipe(); err == nil {
		err = e.init.Start()
	}
	err = errors.Join(err, announce.Close())
	if err != nil {
		_ = ready.Close()
		return fmt.Errorf("start a process in namespaces of its own: %w", err)
	}
	go func() {
		defer close(e.ended)
		_ = e.init.Wait()
	}()
	return nil
}

// PID is that of the first process inside, which names its namespaces.
func (e *Enclosure) PID() string {
	return strconv.Itoa(e.init.Process.Pid)
}

// Link gives the enclosure a network interface that is seen from outside, which goes when the enclosure does. It returns its
// name and a number that goes with it. The function adds the interface, and fails if there is one of that name.
func (e *Enclosure) Link(add func(name string) error) (name string, number int, err error) {
	for number = range 32 {
		name = linkName(e.Dir, number)
		if err = add(name); err == nil {
			e.link, err = recordLink(e.Dir, name)
			return name, number, err
		}
	}
	return "", 0, fmt.Errorf("add a network interface: %w", err)
}

// Serve gives the settings to the function that [Inside] was called with, and returns once that is ready, or has ended,
// which is an error as well; it has said why on stderr.
func (e *Enclosure) Serve(ctx context.Context, settings any) error {
	if err := json.NewEncoder(e.input).Encode(settings); err != nil {
		return fmt.Errorf("send settings: %w", err)
	}
	answer := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(e.ready, make([]byte, 1))
		answer <- err
	}()
	select {
	case err := <-answer:
		if err != nil {
			return errors.New("it ended before it was ready")
		}
		return nil
	case <-ctx.Done():
		_ = e.ready.Close()
		return fmt.Errorf("wait until it is ready: %w", context.Cause(ctx))
	}
}

// Stop ends everything inside and removes what it had.
func (e *Enclosure) Stop() error {
	_ = e.input.Close()
	select {
	case <-e.ended:
	case <-time.After(20 * time.Second):
		_ = e.init.Process.Kill()
		<-e.ended
	}
	_ = e.ready.Close()
	return errors.Join(e.link.remove(), clearAway(e.Dir), e.lock.Close())
}
