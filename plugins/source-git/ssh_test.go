package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/tests/gitserver"
)

// sshServer is a server that lets git in with one key.
func sshServer(t *testing.T) (id string, key gitserver.Key, server *gitserver.SSH) {
	t.Helper()
	repo, id := repository(t)
	key = gitserver.NewKey(t, "")
	host := gitserver.NewKey(t, "")
	return id, key, repo.ServeSSH(gitserver.Allow{User: "git", Key: key.Signer.PublicKey(), Password: "a good password"}, host.Signer)
}

func TestSSHCredentials(t *testing.T) {
	t.Parallel()
	id, key, server := sshServer(t)
	other := gitserver.NewKey(t, "")
	file := filepath.Join(t.TempDir(), "id")
	require.NoError(t, os.WriteFile(file, []byte(key.PEM), 0o600))
	for name, test := range map[string]struct {
		user string
		auth *auth
		code pluginapi.Code
		want string
	}{
		"inline key":        {"git", &auth{Type: authKey, Key: key.PEM}, "", ""},
		"without newline":   {"git", &auth{Type: authKey, Key: strings.TrimSpace(key.PEM)}, "", ""},
		"key file":          {"git", &auth{Type: authKey, KeyPath: file}, "", ""},
		"name from auth":    {"eve", &auth{Type: authKey, KeyPath: file, Username: "git"}, "", ""},
		"password":          {"git", &auth{Type: authBasic, Username: "git", Password: "a good password"}, "", ""},
		"wrong key":         {"git", &auth{Type: authKey, Key: other.PEM}, pluginapi.CodeDenied, "refuses the credentials"},
		"wrong user":        {"eve", &auth{Type: authKey, Key: key.PEM}, pluginapi.CodeDenied, "refuses the credentials"},
		"wrong password":    {"git", &auth{Type: authBasic, Username: "git", Password: "guess"}, pluginapi.CodeDenied, "refuses the credentials"},
		"missing key file":  {"git", &auth{Type: authKey, KeyPath: file + "x"}, pluginapi.CodeInvalid, "auth.key_path: "},
		"broken key":        {"git", &auth{Type: authKey, Key: key.PEM[:len(key.PEM)/2]}, pluginapi.CodeInvalid, "auth.key: is no private key"},
		"key and key file":  {"git", &auth{Type: authKey, Key: key.PEM, KeyPath: file}, pluginapi.CodeInvalid, "exclude each other"},
		"a token is no key": {"git", &auth{Type: authToken, Token: "t0ken"}, pluginapi.CodeInvalid, "token is for https"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, of := start(t, "{}"), settings{URL: server.URL(test.user), KnownHosts: server.KnownHosts, Auth: test.auth}
			got, err := s.resolved(t.Context(), t, of)
			if test.code != "" {
				requireCode(t, test.code, err, test.want)
				requireHidden(t, err.Error(), key.PEM, other.PEM, "a good password")
				return
			}
			require.NoError(t, err)
			require.Equal(t, id, got)
			_, files, err := s.fetched(t.Context(), t, of, id)
			require.NoError(t, err)
			require.Equal(t, "one", files["flow.yaml"])
		})
	}
}

func TestEncryptedKey(t *testing.T) {
	t.Parallel()
	repo, id := repository(t)
	const passphrase = "open sesame"
	key := gitserver.NewKey(t, passphrase)
	server := repo.ServeSSH(gitserver.Allow{User: "git", Key: key.Signer.PublicKey()}, gitserver.NewKey(t, "").Signer)
	of := settings{URL: server.URL("git"), KnownHosts: server.KnownHosts, Auth: &auth{Type: authKey, Key: key.PEM, Passphrase: passphrase}}
	s := start(t, "{}")
	got, err := s.resolved(t.Context(), t, of)
	require.NoError(t, err)
	require.Equal(t, id, got)
	of.Auth = &auth{Type: authKey, Key: key.PEM}
	_, err = s.resolved(t.Context(), t, of)
	requireCode(t, pluginapi.CodeInvalid, err, "set auth.passphrase")
	of.Auth = &auth{Type: authKey, Key: key.PEM, Passphrase: "guessed wrong"}
	_, err = s.resolved(t.Context(), t, of)
	requireCode(t, pluginapi.CodeInvalid, err, "with this passphrase")
	requireHidden(t, err.Error(), "guessed wrong", key.PEM)
}

// TestAgent sets the environment, so it is not parallel.
func TestAgent(t *testing.T) { //nolint:paralleltest // the environment is that of the process
	id, key, server := sshServer(t)
	of := settings{URL: server.URL("git"), KnownHosts: server.KnownHosts}
	s := start(t, "{}")
	t.Setenv("SSH_AUTH_SOCK", "")
	_, err := s.resolved(t.Context(), t, of)
	requireCode(t, pluginapi.CodeInvalid, err, "ssh needs a key", "SSH_AUTH_SOCK")
	dir, err := os.MkdirTemp("", "agent") //nolint:usetesting // the path of a socket has to be short
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	socket := filepath.Join(dir, "s")
	t.Setenv("SSH_AUTH_SOCK", socket)
	_, err = s.resolved(t.Context(), t, of)
	requireCode(t, pluginapi.CodeUnavailable, err, "ask the ssh agent")
	private, err := ssh.ParseRawPrivateKey([]byte(key.PEM))
	require.NoError(t, err)
	ring := agent.NewKeyring()
	require.NoError(t, ring.Add(agent.AddedKey{PrivateKey: private}))
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = agent.ServeAgent(ring, conn) // until the plugin hangs up
		}
		done <- err
	}()
	got, err := s.resolved(t.Context(), t, of)
	require.NoError(t, err)
	require.Equal(t, id, got)
	require.ErrorContains(t, <-done, "EOF")
	require.NoError(t, listener.Close())
}

func TestHostKeys(t *testing.T) {
	t.Parallel()
	id, key, server := sshServer(t)
	file := filepath.Join(t.TempDir(), "known_hosts")
	require.NoError(t, os.WriteFile(file, []byte(server.KnownHosts), 0o600))
	other := gitserver.NewKey(t, "").Signer.PublicKey()
	_, line, _ := strings.Cut(server.KnownHosts, " ")
	hashed := knownhosts.HashHostname(knownhosts.Normalize(server.Addr)) + " " + line
	for name, test := range map[string]struct {
		of   settings
		code pluginapi.Code
		want []string
	}{
		"inline":  {settings{KnownHosts: server.KnownHosts}, "", nil},
		"file":    {settings{KnownHostsPath: file}, "", nil},
		"hashed":  {settings{KnownHosts: "# ours\n\n" + hashed + "\n"}, "", nil},
		"opt-out": {settings{InsecureAcceptAnyHost: true}, "", nil},
		"unknown": {
			settings{KnownHosts: knownhosts.Line([]string{"example.com"}, other)},
			pluginapi.CodeDenied,
			[]string{"is not known", "ssh-ed25519 SHA256:", "ssh-keyscan", server.Addr[:strings.Index(server.Addr, ":")]},
		},
		"changed": {
			settings{KnownHosts: knownhosts.Line([]string{server.Addr}, other)},
			pluginapi.CodeDenied,
			[]string{"another one than in known_hosts", "passing for the server"},
		},
		"revoked":      {settings{KnownHosts: server.KnownHosts + "\n@revoked * " + line}, pluginapi.CodeDenied, []string{"is refused"}},
		"broken line":  {settings{KnownHosts: "example.com nonsense"}, pluginapi.CodeInvalid, []string{"cannot be read"}},
		"missing file": {settings{KnownHostsPath: file + "x"}, pluginapi.CodeInvalid, []string{"known_hosts_path: "}},
		"both":         {settings{KnownHosts: server.KnownHosts, KnownHostsPath: file}, pluginapi.CodeInvalid, []string{"exclude each other"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			of := test.of
			of.URL, of.Auth = server.URL("git"), &auth{Type: authKey, Key: key.PEM}
			got, err := start(t, "{}").resolved(t.Context(), t, of)
			if test.code != "" {
				requireCode(t, test.code, err, test.want...)
				return
			}
			require.NoError(t, err)
			require.Equal(t, id, got)
		})
	}
}

// TestKnownHostsOfTheUser sets the environment, so it is not parallel.
func TestKnownHostsOfTheUser(t *testing.T) { //nolint:paralleltest // the environment is that of the process
	id, key, server := sshServer(t)
	t.Setenv("HOME", t.TempDir())
	s, of := start(t, "{}"), settings{URL: server.URL("git"), Auth: &auth{Type: authKey, Key: key.PEM}}
	_, err := s.resolved(t.Context(), t, of)
	requireCode(t, pluginapi.CodeDenied, err, "is not known", filepath.Join(os.Getenv("HOME"), ".ssh", "known_hosts"))
	require.NoError(t, os.Mkdir(filepath.Join(os.Getenv("HOME"), ".ssh"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(os.Getenv("HOME"), ".ssh", "known_hosts"), []byte(server.KnownHosts), 0o600))
	got, err := s.resolved(t.Context(), t, of)
	require.NoError(t, err)
	require.Equal(t, id, got)
}

// TestServerWithSeveralHostKeys shows the key that is known, not the one that either side likes best.
func TestServerWithSeveralHostKeys(t *testing.T) {
	t.Parallel()
	repo, id := repository(t)
	key, first := gitserver.NewKey(t, ""), gitserver.NewKey(t, "").Signer
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	second, err := ssh.NewSignerFromKey(private)
	require.NoError(t, err)
	server := repo.ServeSSH(gitserver.Allow{User: "git", Key: key.Signer.PublicKey()}, first, second)
	for name, signer := range map[string]ssh.Signer{"ed25519": first, "ecdsa": second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			of := settings{URL: server.URL("git"), Auth: &auth{Type: authKey, Key: key.PEM}}
			of.KnownHosts = knownhosts.Line([]string{server.Addr}, signer.PublicKey())
			got, err := start(t, "{}").resolved(t.Context(), t, of)
			require.NoError(t, err)
			require.Equal(t, id, got)
		})
	}
}

func TestHostCertificate(t *testing.T) {
	t.Parallel()
	repo, id := repository(t)
	key, host, ca := gitserver.NewKey(t, ""), gitserver.NewKey(t, "").Signer, gitserver.NewKey(t, "").Signer
	certificate := &ssh.Certificate{Key: host.PublicKey(), CertType: ssh.HostCert, ValidBefore: ssh.CertTimeInfinity, ValidPrincipals: []string{"127.0.0.1"}}
	require.NoError(t, certificate.SignCert(rand.Reader, ca))
	signer, err := ssh.NewCertSigner(certificate, host)
	require.NoError(t, err)
	server := repo.ServeSSH(gitserver.Allow{User: "git", Key: key.Signer.PublicKey()}, signer)
	of := settings{URL: server.URL("git"), Auth: &auth{Type: authKey, Key: key.PEM}}
	of.KnownHosts = "@cert-authority " + knownhosts.Line([]string{server.Addr}, ca.PublicKey())
	got, err := start(t, "{}").resolved(t.Context(), t, of)
	require.NoError(t, err)
	require.Equal(t, id, got)
	of.KnownHosts = "@cert-authority " + knownhosts.Line([]string{server.Addr}, host.PublicKey())
	_, err = start(t, "{}").resolved(t.Context(), t, of)
	requireCode(t, pluginapi.CodeDenied, err, "is refused")
}

func TestSSHRepositoryThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, key, server := sshServer(t)
	of := settings{URL: strings.Replace(server.URL("git"), "repo.git", "other.git", 1), KnownHosts: server.KnownHosts}
	of.Auth = &auth{Type: authKey, Key: key.PEM}
	_, err := start(t, "{}").resolved(t.Context(), t, of)
	requireCode(t, pluginapi.CodeNotFound, err, "does not exist", server.Addr)
}

// TestSSHServerThatHangs has a server that says nothing: the context ends the wait.
func TestSSHServerThatHangs(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		cancel()
		_, _ = conn.Read(make([]byte, 1<<10)) // its greeting
		_, _ = conn.Read(make([]byte, 1))     // until it hangs up
		_ = conn.Close()
	}()
	of := settings{URL: "ssh://git@" + listener.Addr().String() + "/repo.git", InsecureAcceptAnyHost: true}
	of.Auth = &auth{Type: authBasic, Username: "git", Password: "password"}
	_, err = start(t, "{}").resolved(ctx, t, of)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, listener.Close())
	<-done
}
