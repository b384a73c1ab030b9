package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/coretest"
)

// process is a program under test, in a process group of its own.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	done chan struct{}
	log  *lockedBuffer
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// start runs a program with a configuration file and more environment; the test ends it, and prints its log if it failed.
func start(t *testing.T, name, program, configFile string, env ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, log: &lockedBuffer{}, done: make(chan struct{})}
	p.cmd = exec.Command(bin+"/"+program, "-c", configFile) //nolint:noctx // ended by stop, gently
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + coretest.TempDir(t), "TMPDIR=" + os.Getenv("TMPDIR")}, env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, lastLines(p.log.String(), 60))
		}
	})
	return p
}

func lastLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill ends the program as a crash does: no handler runs, and its children are left to themselves.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// freeze stops the program as a machine that hangs does, until SIGCONT. A signal is sent before it has had its effect: one
// thread has to run to take it, and until then the others go on.
func (p *process) freeze() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	tasks := fmt.Sprintf("/proc/%d/task", p.pid())
	require.True(p.t, poll(p.t.Context(), func(context.Context) bool {
		threads, err := os.ReadDir(tasks)
		require.NoError(p.t, err)
		return !slices.ContainsFunc(threads, func(thread os.DirEntry) bool {
			stat, err := os.ReadFile(filepath.Join(tasks, thread.Name(), "stat"))
			_, rest, _ := strings.Cut(string(stat), ") ")
			return err == nil && !strings.HasPrefix(rest, "T")
		})
	}), "%s goes on after SIGSTOP", p.name)
}

// stop ends the program in order, and by force if it does not end.
func (p *process) stop() {
	select {
	case <-p.done:
		return
	default:
	}
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.t.Errorf("%s did not end within 20 s after SIGTERM", p.name)
		p.kill()
	}
}
