//go:build linux

package enclosure_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/tests/enclosure"
	"github.com/stroem/stroem/tests/engines"
)

// actAsOutside tells the test binary to start an enclosure, of which it prints what it is, and to stop it when its input ends.
const actAsOutside = "STROEM_TEST_ACT_AS_OUTSIDE"

type settings struct {
	Daemon string // a shell script
}

func TestMain(m *testing.M) {
	enclosure.Inside(serve)
	if name := os.Getenv(actAsOutside); name != "" {
		if err := outside(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve leaves about what container engines do: processes that are nobody's children, mounts, cgroups, files.
func serve(dir string, given settings, ready func() error) error {
	daemons, err := enclosure.NewDaemons(dir)
	if err != nil {
		return err
	}
	mount := filepath.Join(dir, "mount")
	if err := os.Mkdir(mount, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, ""); err != nil {
		return err
	}
	if err := enclosure.MakeCgroup(filepath.Base(dir)); err != nil {
		return err
	}
	if err := enclosure.Pretend(dir, "kernel/panic", "77"); err != nil {
		return err
	}
	if err := daemons.Start("daemon", "sh", "-c", given.Daemon, dir); err != nil {
		return err
	}
	if err := daemons.Await(context.Background(), "the daemon", func(context.Context) error {
		_, err := os.Stat(filepath.Join(mount, "started"))
		return err
	}); err != nil {
		return err
	}
	if err := ready(); err != nil {
		return err
	}
	return daemons.Wait()
}

const daemon = `
for group in /sys/fs/cgroup/pids/$(basename $0) /sys/fs/cgroup/$(basename $0); do
	! [ -d $group ] || { mkdir $group/below; echo $$ >$group/below/cgroup.procs; }
done
setsid sleep 1000 &
(setsid sh -c 'trap "" TERM INT HUP; sleep 1000; true' &)
cat /proc/sys/kernel/panic >$0/panic
ls -d /proc/[0-9]* | wc -l >$0/processes
touch /etc/stroem-test-probe /var/lib/stroem-test-probe /run/stroem-test-probe $0/mount/started
wait`

func outside(name string) error {
	e, err := enclosure.Start(enclosure.Options{Name: name})
	if err != nil {
		return err
	}
	_, _, err = e.Link(func(name string) error {
		return exec.CommandContext(context.Background(), "ip", "link", "add", name, "type", "bridge").Run()
	})
	if err == nil {
		err = e.Serve(context.Background(), settings{Daemon: daemon})
	}
	if err == nil {
		fmt.Println(e.Dir, e.PID())
		_, err = io.Copy(io.Discard, os.Stdin)
	}
	if err := e.Stop(); err != nil {
		return err
	}
	return err
}

// requireRoot skips a test that may not make namespaces, or fails it if STROEM_TEST_REQUIRE names an engine in one.
func requireRoot(t *testing.T) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case engines.Required("docker") || engines.Required("kube"):
		t.Fatal("namespaces need root")
	default:
		t.Skip("namespaces need root")
	}
}

// started is an enclosure of another process.
type started struct {
	enclosure.Trace
	pid   string
	cmd   *exec.Cmd
	input io.Closer
}

// start starts one whose name nobody else uses, in a directory for temporary files.
func start(t *testing.T, name, temp string) *started {
	t.Helper()
	requireRoot(t)
	program, err := os.Executable()
	require.NoError(t, err)
	s := &started{cmd: exec.Command(program)} //nolint:noctx // ends when its input does, and clears away
	s.cmd.Env = append(os.Environ(), actAsOutside+"="+name, "TMPDIR="+temp, "GORACE=atexit_sleep_ms=0")
	s.cmd.Stderr = os.Stderr
	input, err := s.cmd.StdinPipe()
	require.NoError(t, err)
	s.input = input
	output, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	dir, pid, _ := strings.Cut(strings.TrimSpace(line), " ")
	s.Trace, s.pid = enclosure.Follow(dir), pid
	require.Len(t, s.Links, 1)
	t.Cleanup(func() {
		_ = input.Close()
		_ = s.cmd.Wait()
	})
	return s
}

func (s *started) requireGone(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return len(s.Left()) == 0 }, 20*time.Second, 20*time.Millisecond)
}

func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	one, two := start(t, "testa", temp), start(t, "testa", temp)
	require.NotEqual(t, one.Links, two.Links)

	// It has processes and settings of its own: init, the one that serves, the daemon's.
	content, err := os.ReadFile(filepath.Join(one.Dir, "panic"))
	require.NoError(t, err)
	require.Equal(t, "77\n", string(content))
	content, err = os.ReadFile("/proc/sys/kernel/panic")
	require.NoError(t, err)
	require.NotEqual(t, "77\n", string(content))
	content, err = os.ReadFile(filepath.Join(one.Dir, "processes"))
	require.NoError(t, err)
	require.Less(t, len(strings.TrimSpace(string(content))), 3, "fewer than 100")
	require.NotEmpty(t, one.Left())
	require.NotContains(t, one.Left(), "mounts")
	for _, dir := range []string{"/etc", "/run", "/var/lib"} {
		require.NoFileExists(t, filepath.Join(dir, "stroem-test-probe"))
	}

	require.NoError(t, one.input.Close())
	require.NoError(t, one.cmd.Wait())
	require.Empty(t, one.Left())
	require.NotEmpty(t, two.Left(), "another one stays")
}

// It clears away after itself though nobody is left who would tell it to.
func TestOutsideKilled(t *testing.T) {
	t.Parallel()
	s := start(t, "testb", t.TempDir())
	require.NoError(t, s.cmd.Process.Kill())
	_ = s.cmd.Wait()
	s.requireGone(t)
}

// The next one clears away what is left when nothing inside could.
func TestBothKilled(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	s := start(t, "testc", temp)
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGSTOP))
	require.NoError(t, exec.CommandContext(t.Context(), "kill", "-KILL", s.pid).Run())
	require.NoError(t, s.cmd.Process.Kill())
	_ = s.cmd.Wait()
	require.Contains(t, s.Left(), s.Dir)
	require.Contains(t, s.Left(), "interface "+s.Links[0].Name)

	start(t, "testc", temp)
	require.Empty(t, s.Left())
}

// The interface of another one that has got the name in the meantime is left alone.
func TestNameOfTheInterfaceIsTakenAgain(t *testing.T) {
	t.Parallel()
	s := start(t, "teste", t.TempDir())
	ip := func(args ...string) {
		out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "ip", args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	ip("link", "delete", s.Links[0].Name)
	ip("link", "add", s.Links[0].Name, "type", "bridge")
	defer ip("link", "delete", s.Links[0].Name)
	require.NoError(t, s.input.Close())
	require.NoError(t, s.cmd.Wait())
	require.Empty(t, s.Left())
	_, err := net.InterfaceByName(s.Links[0].Name)
	require.NoError(t, err)
}

func TestDaemonEnds(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	e, err := enclosure.Start(enclosure.Options{Name: "testd", Network: true})
	require.NoError(t, err)
	require.ErrorContains(t, e.Serve(t.Context(), settings{Daemon: "exit 3"}), "ended before it was ready")
	require.NoError(t, e.Stop())
	require.NoDirExists(t, e.Dir)
}
