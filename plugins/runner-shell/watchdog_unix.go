//go:build unix

package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// watchdogScript keeps a list of process groups from lines "add N" and "drop N". When nobody can write any more, because the
// plugin has ended in whatever way, it kills those that are still on the list. Signals are not for it.
const watchdogScript = `trap '' HUP INT QUIT TERM
groups=
while read -r verb group; do
	case $verb in
	add) groups="$groups $group" ;;
	drop)
		rest=
		for g in $groups; do
			[ "$g" = "$group" ] || rest="$rest $g"
		done
		groups=$rest
		;;
	esac
done
for g in $groups; do
	kill -s KILL -- "-$g"
done 2>/dev/null`

// watchdog is a process that outlives the plugin for a moment in order to kill the steps that it left behind. It costs a
// step one line through a pipe at each end. Each step enters itself, before it does anything else.
type watchdog struct {
	shell string
	log   *slog.Logger
	// read and write are the ends of the watchdog's pipe. The plugin keeps both, so that nothing is lost when it has
	// to start another watchdog. Only the plugin, and a step that has not entered itself yet, hold the write end.
	read, write *os.File

	mu     sync.Mutex
	groups map[int]struct{}
	cmd    *exec.Cmd
	closed bool
	done   chan struct{} // the supervision has ended
}

func startWatchdog(shell string, log *slog.Logger) (*watchdog, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	w := &watchdog{
		shell: shell, log: log, read: read, write: write, groups: map[int]struct{}{}, done: make(chan struct{}),
	}
	if err := w.launch(); err != nil {
		discard(read, write)
		return nil, err
	}
	go w.supervise()
	return w, nil
}

// launch starts the process in a session of its own, so that what kills the plugin's group does not reach it.
func (w *watchdog) launch() error {
	w.cmd = exec.Command(w.shell, "-c", watchdogScript) //nolint:gosec,noctx // constant; close ends it
	w.cmd.Stdin = w.read
	w.cmd.Env = []string{}
	w.cmd.Dir = "/"
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return w.cmd.Start()
}

// supervise starts the watchdog anew when somebody has killed it.
func (w *watchdog) supervise() {
	defer close(w.done)
	for {
		_ = w.cmd.Wait()
		w.mu.Lock()
		if w.closed {
			w.mu.Unlock()
			return
		}
		w.log.Warn("the watchdog was killed; starting another", "status", w.cmd.ProcessState.String())
		err := w.launch()
		for pgid := range w.groups {
			w.tell("add", pgid)
		}
		w.mu.Unlock()
		if err != nil {
			w.log.Error("no watchdog: steps may outlive a crash of this plugin", "error", err)
			return
		}
	}
}

// start starts cmd with the write end as its descriptor 3, through which the command enters its group.
func (w *watchdog) start(cmd *exec.Cmd) error {
	cmd.ExtraFiles = []*os.File{w.write}
	if err := cmd.Start(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.groups[cmd.Process.Pid] = struct{}{}
	return nil
}

// drop takes a group that is gone off the list.
func (w *watchdog) drop(pgid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.groups, pgid)
	w.tell("drop", pgid)
}

func (w *watchdog) tell(verb string, pgid int) {
	if _, err := fmt.Fprintf(w.write, "%s %d\n", verb, pgid); err != nil {
		w.log.Error("tell the watchdog", "error", err)
	}
}

// close ends the watchdog and waits for it.
func (w *watchdog) close() error {
	w.mu.Lock()
	w.closed = true
	discard(w.write, w.read)
	w.mu.Unlock()
	<-w.done
	return nil
}
