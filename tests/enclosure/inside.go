//go:build linux

package enclosure

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

const (
	role      = "STROEM_TEST_ENCLOSURE"
	roleInit  = "init"
	roleServe = "serve"
	directory = "STROEM_TEST_ENCLOSURE_DIR"
	settings  = "STROEM_TEST_ENCLOSURE_SETTINGS"
	// announceFD is where the inside says that it is ready.
	announceFD = 3
)

// Inside is called first in main. Outside of an enclosure it does nothing. Inside it calls serve with the enclosure's
// directory and the settings, and does not return; when serve does, the enclosure ends.
func Inside[S any](serve func(dir string, settings S, ready func() error) error) {
	var err error
	switch os.Getenv(role) {
	case roleInit:
		err = runInit()
	case roleServe:
		syscall.CloseOnExec(announceFD)
		_ = os.Unsetenv(role)
		var given S
		if err = json.Unmarshal([]byte(os.Getenv(settings)), &given); err == nil {
			err = serve(os.Getenv(directory), given, announce)
		}
	default:
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func announce() error {
	file := os.NewFile(announceFD, "ready")
	if _, err := file.WriteString("1"); err != nil {
		return fmt.Errorf("say that it is ready: %w", err)
	}
	return file.Close()
}

// runInit is the first process of the enclosure. It starts the one that serves, takes in processes that have lost their
// parents, and ends everything when its input or the serving process ends.
func runInit() error {
	dir := os.Getenv(directory)
	input := bufio.NewReader(os.Stdin)
	given, err := input.ReadString('\n')
	if err != nil {
		return clearAway(dir) // the outside ended before it came to settings
	}
	link := recordedLink(dir)
	if err := makeMounts(dir); err != nil {
		return err
	}
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if err := errors.Join(os.Setenv(role, roleServe), os.Setenv(settings, given)); err != nil {
		return err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	server, err := os.StartProcess(program, []string{program}, &os.ProcAttr{
		Files: []*os.File{null, os.Stderr, os.Stderr, os.NewFile(announceFD, "ready")},
	})
	if err != nil {
		return fmt.Errorf("start the process that serves: %w", err)
	}
	_ = os.NewFile(announceFD, "ready").Close()
	// Everything but this process, and once: what clears away afterwards is to live.
	killAll := sync.OnceFunc(func() { _ = syscall.Kill(-1, syscall.SIGKILL) })
	go func() {
		_, _ = io.Copy(io.Discard, input)
		killAll()
	}()
	reap(server.Pid)
	killAll()
	reap(0)
	return errors.Join(link.remove(), clearAway(dir))
}

// reap waits for processes until the one with the pid has ended, or all have.
func reap(pid int) {
	for {
		ended, err := syscall.Wait4(-1, nil, 0, nil)
		if ended == pid || err != nil && !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

// makeMounts gives the enclosure its own /proc and directories in which it sees the machine's files and writes nothing
// of them: daemons have places of which they cannot be talked out.
func makeMounts(dir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_SLAVE|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("part from the machine's mounts: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	writes := filepath.Join(dir, "writes")
	if err := os.Mkdir(writes, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", writes, "tmpfs", 0, "mode=0700"); err != nil {
		return fmt.Errorf("mount a directory in memory: %w", err)
	}
	for _, target := range []string{"/etc", "/run", "/var/lib", "/var/log"} {
		layer := filepath.Join(writes, strings.ReplaceAll(target, "/", "_"))
		upper, work := filepath.Join(layer, "upper"), filepath.Join(layer, "work")
		if err := errors.Join(os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755)); err != nil {
			return err
		}
		options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", target, upper, work)
		if err := syscall.Mount("overlay", target, "overlay", 0, options); err != nil {
			return fmt.Errorf("mount over %s: %w", target, err)
		}
	}
	return nil
}

// Pretend lets a setting of the kernel below /proc/sys look as if it were set, for what is inside alone.
func Pretend(dir, setting, value string) error {
	file := filepath.Join(dir, "writes", filepath.Base(setting))
	if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
		return err
	}
	if err := syscall.Mount(file, filepath.Join("/proc/sys", setting), "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("cover %s: %w", setting, err)
	}
	return nil
}
