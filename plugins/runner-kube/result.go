package main

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/stroem/stroem/pluginapi"
)

// signals are those of Linux, where containers run, wherever this program does.
var signals = [...]string{
	1: "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV",
	"SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU",
	"SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
}

// Exit codes for what has none.
const (
	notExecutable = 126
	notFound      = 127
	killed        = 128 + 9
)

// resultOf is how the container ended. Containers tell of signals by 128 and their number.
func resultOf(t *corev1.ContainerStateTerminated) *pluginapi.Result {
	code := int(t.ExitCode)
	if t.Signal > 0 {
		code = 128 + int(t.Signal)
	}
	result := &pluginapi.Result{ExitCode: code}
	if code == 0 {
		return result
	}
	result.Message = strings.TrimSpace(t.Message)
	switch t.Reason {
	case "StartError", "ContainerCannotRun":
		result.ExitCode = notFound
		if strings.Contains(t.Message, "permission denied") {
			result.ExitCode = notExecutable
		}
		return result
	case "OOMKilled":
		result.OOMKilled = true
		result.Message = strings.TrimSpace("the container used more memory than resources.memory allows\n" + result.Message)
	}
	if n := code - 128; n > 0 && n < len(signals) {
		result.ExitCode, result.Signal = -1, signals[n]
	}
	return result
}

// overdue is the result of a pod that ran longer than its manifest allows.
func overdue(t *corev1.ContainerStateTerminated) *pluginapi.Result {
	if t == nil {
		t = &corev1.ContainerStateTerminated{ExitCode: killed}
	}
	result := resultOf(t)
	if result.ExitCode == 0 {
		return result // it was faster
	}
	result.Message = strings.TrimSpace("the pod was active for longer than activeDeadlineSeconds of its manifest\n" + result.Message)
	return result
}
