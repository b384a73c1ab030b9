package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const keepCommand = "keep"

// record is a line of a step's output, as it is kept.
type record struct {
	At     time.Time `json:"at"`
	Stderr bool      `json:"stderr,omitempty"`
	Data   []byte    `json:"data"`
}

// keep runs the command in dir, keeps its output there, and at last its exit code. Polite signals are for the command.
func keep(dir string) int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP) // and never read
	if err := keepCommandIn(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func keepCommandIn(dir string) error {
	file, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	cmd := exec.Command("sh", filepath.Join(dir, "cmd")) //nolint:noctx // it has the time that it takes
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	copyLines := func(r io.Reader, isStderr bool) {
		lines := bufio.NewReader(r)
		for {
			line, err := lines.ReadBytes('\n')
			mu.Lock()
			if len(line) > 0 {
				_ = json.NewEncoder(file).Encode(record{time.Now(), isStderr, line}) // a full disk shows in what is missing
			}
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}
	group.Go(func() { copyLines(stdout, false) })
	group.Go(func() { copyLines(stderr, true) })
	group.Wait()
	_ = cmd.Wait() // what it says is in cmd.ProcessState as well
	part := filepath.Join(dir, "code.part")
	if err := os.WriteFile(part, []byte(strconv.Itoa(cmd.ProcessState.ExitCode())), 0o600); err != nil {
		return err
	}
	return os.Rename(part, filepath.Join(dir, "code"))
}
