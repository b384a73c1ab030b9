//go:build unix

package httpapi

import (
	"net"
	"syscall"
)

// connected returns a function that tells whether the client of a request still holds its connection. fasthttp does not
// notice when it goes away while a handler waits, and a claim must not be granted to nobody. Behind TLS or a proxy the
// answer is always yes; what is granted there in vain becomes ready again after a while.
func connected(conn net.Conn) func() bool {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return func() bool { return true }
	}
	return func() bool {
		raw, err := c.SyscallConn()
		if err != nil {
			return false
		}
		alive := true
		err = raw.Read(func(fd uintptr) bool {
			var buffer [1]byte
			n, _, err := syscall.Recvfrom(int(fd), buffer[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			alive = n > 0 || err == syscall.EAGAIN || err == syscall.EWOULDBLOCK || err == syscall.EINTR // a bare errno
			return true
		})
		return err == nil && alive
	}
}
