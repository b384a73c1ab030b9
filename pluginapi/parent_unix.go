//go:build unix

package pluginapi

import (
	"os"
	"syscall"
	"time"
)

// parentCheck is how often a plugin looks whether its parent still lives. go-plugin does not tell it, and Linux' parent
// death signal follows the parent's thread rather than its process.
const parentCheck = 250 * time.Millisecond

// watchParent returns a channel that is closed when the process that started this one has gone. The goroutine ends with
// the process.
func watchParent() <-chan struct{} {
	parent := os.Getppid()
	gone := make(chan struct{})
	go func() {
		for range time.Tick(parentCheck) {
			if os.Getppid() != parent {
				close(gone)
				return
			}
		}
	}()
	return gone
}

// killOwnGroup kills the processes that the plugin started and left in its own process group, and the plugin itself, if
// the group is the plugin's own.
func killOwnGroup() {
	if pid := os.Getpid(); syscall.Getpgrp() == pid {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}
