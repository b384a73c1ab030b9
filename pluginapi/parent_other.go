//go:build !unix

package pluginapi

import "os"

// watchParent returns a channel that is closed when the process that started this one has gone. The goroutine ends with
// the process.
func watchParent() <-chan struct{} {
	gone := make(chan struct{})
	parent, err := os.FindProcess(os.Getppid())
	if err != nil {
		close(gone)
		return gone
	}
	go func() {
		_, _ = parent.Wait() // Windows waits for any process, not only children
		close(gone)
	}()
	return gone
}

func killOwnGroup() {}
