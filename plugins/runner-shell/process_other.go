//go:build !unix

package main

import (
	"context"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

const unsupported = "shell actions need a POSIX system; run the worker on Linux or macOS, or use another runner"

// There is no POSIX shell, and there are no process groups: the plugin says so and runs nothing.

type process struct{}

type watchdog struct{}

func (*runner) prepare() error { return nil }

func (*runner) health() *pluginapi.Health {
	return &pluginapi.Health{State: pluginapi.Unavailable, Message: unsupported}
}

func (*runner) start(_, _, _ string, _ []string) (*process, error) {
	return nil, pluginapi.Errorf(pluginapi.CodeUnimplemented, unsupported)
}

func (*process) follow(context.Context, time.Duration, pluginapi.Output) (*pluginapi.Result, error) {
	return nil, pluginapi.Errorf(pluginapi.CodeUnimplemented, unsupported)
}

func (*watchdog) close() error { return nil }

func killGroup(int) {}

func startTime(int) string { return "" }
