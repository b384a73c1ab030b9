package pgserver

import (
	"os/exec"
	"runtime"
)

// startTied starts cmd and waits for it from one operating system thread that lives as long as the process: the kernel
// ties a child to the thread that started it. done is closed when the process has ended.
func startTied(cmd *exec.Cmd, done chan<- struct{}) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		defer close(done)
		_ = cmd.Wait() // how it ended shows in its log
	}()
	return <-started
}
