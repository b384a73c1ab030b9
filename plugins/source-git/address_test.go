package main

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
)

// TestDialerLooksAtAddresses has the dialer connect to addresses as a resolver hands them out. None of them is asked:
// the control function comes before.
func TestDialerLooksAtAddresses(t *testing.T) {
	t.Parallel()
	d := newDialer()
	for _, address := range []string{"169.254.169.254:80", "[fe80::1]:22", "[::ffff:169.254.0.1]:443", "0.0.0.0:80", "[fd00:ec2::254]:80"} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			conn, err := d.DialContext(t.Context(), "tcp", address)
			require.Nil(t, conn)
			requireCode(t, pluginapi.CodeDenied, err, "is refused")
		})
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	conn, err := d.DialContext(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err, "loopback is fine")
	require.NoError(t, conn.Close())
}

// TestNamesAreLookedAtWhenTheyAreResolved has a name server that leads to the metadata service.
func TestNamesAreLookedAtWhenTheyAreResolved(t *testing.T) {
	t.Parallel()
	server, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		answerNames(server)
	}()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		<-done
	})
	d := newDialer()
	d.Resolver = resolver(server.LocalAddr().String())
	_, err = d.DialContext(t.Context(), "tcp", "git.example.com:443")
	requireCode(t, pluginapi.CodeDenied, err, "169.254.169.254 is refused")
}
