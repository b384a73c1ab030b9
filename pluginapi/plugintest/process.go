package plugintest

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/stroem/stroem/pluginapi/hostapi"
)

// command is how a plugin is started.
type command struct {
	Path string
	Args []string
	Tmp  string // for its TMPDIR; "": a new directory, removed with the process
}

// process is the process of a plugin, in a process group of its own.
type process struct {
	command *command
	cmd     *exec.Cmd
	client  *plugin.Client
	log     *stderrLog
	printed *stderrLog // what a Go plugin prints to os.Stdout and os.Stderr, which go-plugin takes another way
	tmp     string     // its TMPDIR: sockets of plugins that are killed stay there
	endOnce sync.Once
}

const (
	exitLimit = 10 * time.Second // for an orderly end
	pipeLimit = 2 * time.Second  // for its output to end, after that
)

// launch starts a plugin and connects to it. It tells the plugin to log everything.
func launch(c *command) (*process, *grpc.ClientConn, error) {
	tmp, made := c.Tmp, ""
	if tmp == "" {
		var err error
		if made, err = os.MkdirTemp("", "stroem-"); err != nil { // short: the paths of sockets have a limit
			return nil, nil, fmt.Errorf("make a directory for the plugin: %w", err)
		}
		tmp = made
	}
	cmd := exec.Command(c.Path, c.Args...) //nolint:noctx // the caller names the program; end ends it
	cmd.Env = append(hostapi.Environ(os.Environ()), "TMPDIR="+tmp, "TEMP="+tmp, "TMP="+tmp)
	cmd.Env = append(cmd.Env, hostapi.Env(slog.LevelDebug)...)
	cmd.SysProcAttr = ownGroup()
	p := &process{command: c, cmd: cmd, log: &stderrLog{}, printed: &stderrLog{}, tmp: made}
	cfg := hostapi.ClientConfig(cmd)
	cfg.Logger = hclog.NewNullLogger()
	cfg.Stderr, cfg.SyncStdout, cfg.SyncStderr = p.log, p.printed, p.printed
	p.client = plugin.NewClient(cfg)
	conn, err := hostapi.Connect(p.client)
	if err != nil {
		p.end()
		return nil, nil, fmt.Errorf("start %s: %w\n%s", c.Path, err, p.log)
	}
	return p, conn, nil
}

// end ends the plugin, by force if it hangs, and what it left in its process group. Its log is complete then.
func (p *process) end() {
	p.endOnce.Do(func() {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			p.client.Kill()
		}()
		if !closed(ended, exitLimit) {
			p.kill()
			if !closed(ended, pipeLimit) {
				_ = p.cmd.Wait() // closes the pipes, which something that left the group holds open
				<-ended
			}
		}
		p.kill()
		_ = os.RemoveAll(p.tmp)
	})
}

// kill ends the plugin and its process group as a crash would.
func (p *process) kill() {
	if p.cmd.Process != nil {
		killGroup(p.cmd.Process)
	}
}

// logged is all that the plugin has said so far.
func (p *process) logged() string { return p.log.String() + p.printed.String() }

func (p *process) pid() int { return p.cmd.Process.Pid }

// closed waits for a channel to be closed; false if that takes longer than the limit.
func closed(ch <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-ch:
		return true
	case <-timer.C:
		return false
	}
}

// maxLog is how much of a plugin's log is kept.
const maxLog = 4 << 20

// stderrLog keeps what a plugin writes to its standard error.
type stderrLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *stderrLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Write(p[:min(len(p), maxLog-l.buf.Len())])
	return len(p), nil
}

func (l *stderrLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
