//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stroem/stroem/pluginapi"
)

const (
	// drainDelay is how long output may still come after the end of a step's first process, from others that it
	// left behind. Then they are killed: what a step starts does not outlive it.
	drainDelay = time.Second
	// groupPoll is how often a group that was told to stop is looked at, at first, after its first process has ended.
	groupPoll = 5 * time.Millisecond
)

// prepare finds sh and starts the watchdog.
func (r *runner) prepare() (err error) {
	if r.shell, err = exec.LookPath("sh"); err != nil {
		return pluginapi.Errorf(pluginapi.CodeInvalid, "find a shell: %w", err)
	}
	if r.dog, err = startWatchdog(r.shell, r.log); err != nil {
		return pluginapi.Errorf(pluginapi.CodeInternal, "start watchdog: %w", err)
	}
	return nil
}

func (r *runner) health() *pluginapi.Health { return &pluginapi.Health{State: pluginapi.Healthy} }

// process is a step under way: a process group and the pipes that its output comes through.
type process struct {
	cmd            *exec.Cmd
	dog            *watchdog
	started        string // see startTime
	stdout, stderr *os.File
	exited         chan struct{} // the first process of the group has ended
}

// start starts sh with the launcher. stdin is /dev/null, as exec does it for nil.
func (r *runner) start(launcher, file, dir string, env []string) (*process, error) {
	stdout, stdoutWriter, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	stderr, stderrWriter, err := os.Pipe()
	if err != nil {
		discard(stdout, stdoutWriter)
		return nil, err
	}
	defer discard(stdoutWriter, stderrWriter)
	cmd := exec.Command(r.shell, "-c", launcher, file) //nolint:gosec,noctx // running commands is the purpose; follow stops them
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, stdoutWriter, stderrWriter
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.dog.start(cmd); err != nil {
		discard(stdout, stderr)
		return nil, err
	}
	p := &process{
		cmd: cmd, dog: r.dog, started: startTime(cmd.Process.Pid), stdout: stdout, stderr: stderr,
		exited: make(chan struct{}),
	}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // what it says is in cmd.ProcessState as well
	}()
	return p, nil
}

// follow copies the output and waits for the end of the step, and of everything that it started.
func (p *process) follow(ctx context.Context, grace time.Duration, out pluginapi.Output) (*pluginapi.Result, error) {
	pgid := p.cmd.Process.Pid
	defer p.dog.drop(pgid)
	defer discard(p.stdout, p.stderr)
	s, err := json.Marshal(state{Group: pgid, Started: p.started})
	if err == nil {
		err = out.Started(s)
	}
	if err != nil {
		p.kill()
		<-p.exited
		return nil, err
	}
	drained := p.copy(out)
	select {
	case <-p.exited:
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), pluginapi.ErrHostGone) {
			grace = 0
		}
		p.stop(grace)
	}
	waitFor(drained, drainDelay)
	p.kill()
	p.expire()
	<-drained
	return result(p.cmd.ProcessState), nil
}

// copy copies both streams as they come, until they end. Each Write may block, and then so does the step.
func (p *process) copy(out pluginapi.Output) (drained <-chan struct{}) {
	var wg sync.WaitGroup
	wg.Go(func() { copyStream(out.Stdout(), p.stdout) })
	wg.Go(func() { copyStream(out.Stderr(), p.stderr) })
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	return done
}

// buffers have the size of a pipe, which is what one read can return at most.
var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

func copyStream(w io.Writer, r *os.File) {
	buf, _ := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := r.Read(buf[:])
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return // nobody listens: the context has ended too
			}
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			copyRest(w, r, buf[:])
		}
		if err != nil {
			return
		}
	}
}

// copyRest copies what is in the pipe, which one read returns. The deadline says only that nothing more is worth waiting
// for: it may have passed while a slow host held up a write.
func copyRest(w io.Writer, r *os.File, buf []byte) {
	_ = r.SetReadDeadline(time.Now().Add(4 * groupPoll))
	if n, _ := r.Read(buf); n > 0 {
		_, _ = w.Write(buf[:n])
	}
}

// expire stops the copying soon, for the case that a process that left the group holds a pipe open.
func (p *process) expire() {
	for _, pipe := range []*os.File{p.stdout, p.stderr} {
		_ = pipe.SetReadDeadline(time.Now().Add(drainDelay))
	}
}

// stop asks the group to end, gives it the grace, kills it, and waits for its first process.
func (p *process) stop(grace time.Duration) {
	pgid := p.cmd.Process.Pid
	if grace > 0 {
		_ = syscall.Kill(-pgid, syscall.SIGTERM) // gone already: all the better
		deadline := time.Now().Add(grace)
		waitFor(p.exited, grace)
		for pause := groupPoll; time.Now().Before(deadline) && groupLives(pgid); pause *= 2 {
			//nolint:forbidigo // nothing tells when the last process of a group has gone
			time.Sleep(min(pause, 20*groupPoll, time.Until(deadline)))
		}
	}
	p.kill()
	<-p.exited
}

func (p *process) kill() { killGroup(p.cmd.Process.Pid) }

// killGroup kills a process group. One that is gone is no error.
func killGroup(pgid int) { _ = syscall.Kill(-pgid, syscall.SIGKILL) }

// waitFor waits for done, but not longer than limit.
func waitFor(done <-chan struct{}, limit time.Duration) {
	select { // without a timer where there is nothing to wait for
	case <-done:
		return
	default:
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

func result(ps *os.ProcessState) *pluginapi.Result {
	r := &pluginapi.Result{ExitCode: ps.ExitCode()}
	if status, ok := ps.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		r.Signal = unix.SignalName(status.Signal())
	}
	return r
}
