package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/stroem/stroem/pluginapi"
)

// How a command that cannot be executed is told, as by a shell.
const (
	codeNotExecutable = 126
	codeNotFound      = 127
)

// How containers are ended from outside.
const (
	codeKilled     = 128 + 9
	codeTerminated = 128 + 15
)

// signals are the names of the signals of Linux, by number. Containers tell of them as 128 and the number.
var signals = [...]string{
	1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
	10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 16: "SIGSTKFLT", 17: "SIGCHLD",
	18: "SIGCONT", 19: "SIGSTOP", 20: "SIGTSTP", 21: "SIGTTIN", 22: "SIGTTOU", 23: "SIGURG", 24: "SIGXCPU", 25: "SIGXFSZ",
	26: "SIGVTALRM", 27: "SIGPROF", 28: "SIGWINCH", 29: "SIGIO", 30: "SIGPWR", 31: "SIGSYS",
}

// result says how a container ended.
func (f *follower) result(seen *container.InspectResponse) *pluginapi.Result {
	s := seen.State
	r := &pluginapi.Result{ExitCode: s.ExitCode, OOMKilled: s.OOMKilled && s.ExitCode != 0}
	var messages []string
	if s.Error != "" {
		messages = append(messages, s.Error)
	}
	if n := s.ExitCode - 128; n > 0 && n < len(signals) {
		r.ExitCode, r.Signal = -1, signals[n]
	}
	if r.OOMKilled {
		messages = append(messages, outOfMemory(seen.HostConfig))
	}
	if s.ExitCode == codeNotFound || s.ExitCode == codeNotExecutable {
		if text := f.last.initFailed(); text != "" {
			messages = append(messages, notExecutable(text))
		}
	}
	if f.outage && s.ExitCode != 0 {
		messages = append(messages, "the Docker engine was away while the step ran, and may have ended it")
	}
	r.Message = strings.Join(messages, "; ")
	return r
}

func outOfMemory(host *container.HostConfig) string {
	if host == nil || host.Memory == 0 {
		return "the engine's machine ran out of memory"
	}
	return fmt.Sprintf("the step needs more than its limit of %d MiB: raise resources.memory", host.Memory>>20)
}

// notExecutable says what the engine, or its init, had to say about a command.
func notExecutable(text string) string {
	switch {
	case strings.Contains(text, "not found"), strings.Contains(text, "o such file"):
		return "the command does not exist in the image: " + text
	case strings.Contains(text, "ermission denied"):
		return "the command may not be executed: " + text
	}
	return text
}

// tail keeps the end of what was written.
type tail struct{ data []byte }

const tailSize = 512

func (t *tail) add(p []byte) {
	t.data = append(t.data, p[max(0, len(p)-tailSize):]...)
	t.data = t.data[max(0, len(t.data)-tailSize):]
}

// initFailed returns what the engine's init said if it could not execute the command: it begins with the name of that.
func (t *tail) initFailed() string {
	line := bytes.TrimSpace(t.data)
	line = line[bytes.LastIndexByte(line, '\n')+1:]
	_, text, found := bytes.Cut(line, []byte("] exec "))
	if !found || !bytes.HasPrefix(line, []byte("[FATAL tini")) {
		return ""
	}
	return string(text)
}
