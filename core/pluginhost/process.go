package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// outputDelay is how long the output of a plugin that has ended is still read, when something else holds it open.
const outputDelay = time.Second

// process is the process of a plugin and its process group. It is go-plugin's runner.Runner, so that go-plugin never
// starts, waits for or kills anything by itself.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *os.File
	exited         chan struct{} // closed when the process has ended; never, if it never started

	mu      sync.Mutex
	running bool
	killed  bool
	err     error // how it ended; set before exited is closed
	closer  *time.Timer
}

func newProcess(path string, args, env []string) *process {
	cmd := exec.Command(path, args...) //nolint:gosec,noctx // the operator installed it; kill ends it
	cmd.Env = env
	cmd.SysProcAttr = ownGroup()
	return &process{cmd: cmd, exited: make(chan struct{})}
}

// Start implements runner.Runner. The output goes through pipes of our own: those of exec.Cmd are closed, and what is in
// them is lost, the moment that the process ends.
func (p *process) Start(context.Context) error {
	var err error
	var stdout, stderr *os.File
	if p.stdout, stdout, err = os.Pipe(); err != nil {
		return err
	}
	defer func() { _ = stdout.Close() }() // the plugin's end, here
	if p.stderr, stderr, err = os.Pipe(); err != nil {
		return errors.Join(err, p.stdout.Close())
	}
	defer func() { _ = stderr.Close() }() // the plugin's end, here
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killed {
		err = errors.New("given up before it was started")
	} else {
		err = p.cmd.Start()
	}
	if err != nil {
		p.closeOutput()
		return err
	}
	p.running = true
	go p.reap()
	return nil
}

// reap waits for the process, and ends what it left behind in its group.
func (p *process) reap() {
	err := p.cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = false
	killGroup(p.cmd.Process)
	p.err = err
	p.closer = time.AfterFunc(outputDelay, p.closeOutput)
	close(p.exited)
}

func (p *process) closeOutput() {
	_ = p.stdout.Close() // only read from, and a second time is no harm
	_ = p.stderr.Close()
}

// kill ends the whole process group, or sees to it that there will be none. It does not wait.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = true
	if p.running {
		killGroup(p.cmd.Process)
	}
}

// pid is the id of a process that was started.
func (p *process) pid() int { return p.cmd.Process.Pid }

// ending says how the process ended; it is called after that.
func (p *process) ending() error {
	if p.err != nil {
		return fmt.Errorf("the process ended: %w", p.err)
	}
	return errors.New("the process ended by itself")
}

// Wait implements runner.Runner; go-plugin calls it when it has read all output.
func (p *process) Wait(context.Context) error {
	<-p.exited
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closer.Stop()
	p.closeOutput()
	return p.err
}

// Kill implements runner.Runner.
func (p *process) Kill(context.Context) error {
	p.kill()
	return nil
}

// Stdout implements runner.Runner.
func (p *process) Stdout() io.ReadCloser { return p.stdout }

// Stderr implements runner.Runner.
func (p *process) Stderr() io.ReadCloser { return p.stderr }

// Name implements runner.Runner.
func (p *process) Name() string { return p.cmd.Path }

// ID implements runner.Runner. It is never "": go-plugin would take that for nothing to clean up.
func (p *process) ID() string { return p.cmd.Path }

// Diagnose implements runner.Runner.
func (p *process) Diagnose(context.Context) string {
	return "is it a plugin for this operating system?"
}

// PluginToHost implements runner.Runner.
func (p *process) PluginToHost(network, addr string) (hostNetwork, hostAddr string, err error) {
	return network, addr, nil
}

// HostToPlugin implements runner.Runner.
func (p *process) HostToPlugin(network, addr string) (pluginNetwork, pluginAddr string, err error) {
	return network, addr, nil
}
