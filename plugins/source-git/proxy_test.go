package main

import (
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/proxy"

	"github.com/stroem/stroem/tests/gitserver"
)

// TestSOCKSProxy reaches a server by a name that the proxy alone knows.
func TestSOCKSProxy(t *testing.T) {
	t.Parallel()
	id, key, server := sshServer(t)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	asked := make(chan string, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err == nil {
			relay(conn, server.Addr, asked)
		}
	}()
	s := start(t, "{}")
	s.ssh, err = proxy.SOCKS5("tcp", listener.Addr().String(), nil, newDialer())
	require.NoError(t, err)
	_, line, _ := strings.Cut(server.KnownHosts, " ")
	of := settings{URL: "git@git.example.com:/repo.git", KnownHosts: "git.example.com " + line, Auth: &auth{Type: authKey, Key: key.PEM}}
	got, err := s.resolved(t.Context(), t, of)
	require.NoError(t, err)
	require.Equal(t, id, got)
	require.Equal(t, "git.example.com:22", <-asked)
	require.NoError(t, listener.Close())
	<-done
}

// relay is a SOCKS proxy (RFC 1928) for one connection, which it leads to another address than the one asked for.
func relay(conn net.Conn, to string, asked chan<- string) {
	defer func() { _ = conn.Close() }()
	greeting := make([]byte, 2)
	if _, err := io.ReadFull(conn, greeting); err != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, conn, int64(greeting[1]))
	_, _ = conn.Write([]byte{5, 0}) // no authentication
	head := make([]byte, 5)         // version, connect, 0, a name, its length
	if _, err := io.ReadFull(conn, head); err != nil {
		return
	}
	rest := make([]byte, int(head[4])+2)
	if _, err := io.ReadFull(conn, rest); err != nil {
		return
	}
	name, port := rest[:head[4]], binary.BigEndian.Uint16(rest[head[4]:])
	asked <- net.JoinHostPort(string(name), strconv.Itoa(int(port)))
	_, _ = conn.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 0}) // connected
	server, err := net.Dial("tcp", to)                        //nolint:noctx // on loopback
	if err != nil {
		return
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		_, _ = io.Copy(server, conn)
		_ = server.Close()
	})
	_, _ = io.Copy(conn, server)
	_ = conn.Close()
	wait.Wait()
}

// TestManyWorkspacesAtOnce has one source serve workspaces that differ in all that a transport could mix up.
func TestManyWorkspacesAtOnce(t *testing.T) {
	t.Parallel()
	repo, _ := repository(t)
	key := gitserver.NewKey(t, "")
	one := serveHTTPS(t, repo.Handler(gitserver.Credentials{Username: "x-access-token", Password: "token one"}))
	two := serveHTTPS(t, repo.Handler(gitserver.Credentials{Username: "x-access-token", Password: "token two"}))
	secure := repo.ServeSSH(gitserver.Allow{User: "git", Key: key.Signer.PublicKey()}, gitserver.NewKey(t, "").Signer)
	token := func(text string) *auth { return &auth{Type: authToken, Token: text} }
	good := []settings{
		{URL: one.URL + "/repo.git", CA: authority(one), Auth: token("token one")},
		{URL: two.URL + "/repo.git", CA: authority(two), Auth: token("token two")},
		{URL: two.URL + "/repo.git", InsecureSkipTLSVerify: true, Auth: token("token two")},
		{URL: secure.URL("git"), KnownHosts: secure.KnownHosts, Auth: &auth{Type: authKey, Key: key.PEM}},
	}
	bad := []settings{
		{URL: one.URL + "/repo.git", CA: authority(one), Auth: token("token two")},
		{URL: two.URL + "/repo.git", CA: authority(two)},
		{URL: one.URL + "/repo.git", Auth: token("token one")},
		{URL: secure.URL("git"), KnownHosts: "example.com " + strings.SplitN(secure.KnownHosts, " ", 2)[1], Auth: &auth{Type: authKey, Key: key.PEM}},
		{URL: secure.URL("git"), KnownHosts: secure.KnownHosts, Auth: &auth{Type: authBasic, Username: "git", Password: "token one"}},
	}
	s := start(t, "{}")
	var wait sync.WaitGroup
	for range 4 {
		for _, of := range good {
			wait.Go(func() {
				if _, files, err := s.fetched(t.Context(), t, of, ""); err != nil || files["flow.yaml"] != "one" {
					t.Errorf("%s: got %q, %v", of.URL, files, err)
				}
			})
		}
		for _, of := range bad {
			wait.Go(func() {
				if got, err := s.resolved(t.Context(), t, of); err == nil {
					t.Errorf("%s: got %s with the wrong credentials or trust", of.URL, got)
				}
			})
		}
	}
	wait.Wait()
}
