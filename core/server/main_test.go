package server_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/tests/s3server"
)

// plugins is a directory with the source plugin for folders and the log store for S3.
var plugins string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "stroem-server-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	plugins = dir
	// Servers have credentials for AWS in their environment.
	err = errors.Join(s3server.Forget(), os.Setenv("AWS_ACCESS_KEY_ID", s3server.AccessKey), os.Setenv("AWS_SECRET_ACCESS_KEY", s3server.SecretKey))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-o", dir, "../../plugins/source-folder", "../../plugins/logstore-s3")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the plugins:", err)
		return 1
	}
	return coretest.MainWithoutLeaks(m, coretest.FastHTTP()...)
}
