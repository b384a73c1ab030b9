//go:build !unix

package httpapi

import "net"

// connected always says yes: what is granted in vain becomes ready again after a while.
func connected(net.Conn) func() bool { return func() bool { return true } }
