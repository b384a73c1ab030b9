package pluginhost

import "sync"

// calls counts the calls to an instance that are under way.
type calls struct {
	mu     sync.Mutex
	count  int
	closed bool
	ending chan struct{} // closed when there will be no more
	idle   chan struct{} // closed when there are none and will be none
}

func newCalls() *calls { return &calls{ending: make(chan struct{}), idle: make(chan struct{})} }

// begin enters a call; it returns false when there must be no more.
func (c *calls) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.count++
	return true
}

func (c *calls) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count--
	c.settle()
}

// close refuses new calls. The returned channel is closed when the last one has ended.
func (c *calls) close() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		close(c.ending)
		c.settle()
	}
	return c.idle
}

func (c *calls) settle() {
	if c.closed && c.count == 0 {
		close(c.idle)
	}
}
