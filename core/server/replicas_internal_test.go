package server

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/config"
)

func TestInternalURL(t *testing.T) {
	t.Parallel()
	tcp := func(address string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", address)
		require.NoError(t, err)
		return a
	}
	for name, c := range map[string]struct {
		config  config.Server
		address net.Addr
		seen    string
		want    string
	}{
		"configured":     {config.Server{InternalURL: "https://a.example.org"}, tcp("127.0.0.1:80"), "10.0.0.2", "https://a.example.org"},
		"an address":     {config.Server{}, tcp("10.0.0.1:8080"), "10.0.0.2", "http://10.0.0.1:8080"},
		"IPv6":           {config.Server{}, tcp("[::1]:8080"), "10.0.0.2", "http://[::1]:8080"},
		"TLS":            {config.Server{TLS: &config.ServerTLS{}}, tcp("10.0.0.1:8443"), "10.0.0.2", "https://10.0.0.1:8443"},
		"all interfaces": {config.Server{}, tcp("0.0.0.0:8080"), "10.0.0.2", "http://10.0.0.2:8080"},
		"all of IPv6":    {config.Server{}, tcp("[::]:8080"), "fd00::2", "http://[fd00::2]:8080"},
		"nothing seen":   {config.Server{}, tcp("[::]:8080"), "", ""},
		"a socket":       {config.Server{}, &net.UnixAddr{Net: "unix", Name: "/run/stroem.sock"}, "10.0.0.2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, (&Server{config: c.config}).internalURL(c.address, c.seen))
		})
	}
}
