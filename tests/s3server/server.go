// Package s3server runs S3 servers for tests on loopback: versitygw, which keeps objects as files. scripts/build-s3 builds it.
package s3server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/tests/engines"
)

// What all servers have.
const (
	Bucket    = "logs"
	Region    = "eu-north-1"
	AccessKey = "OWNERKEY"
	SecretKey = "the secret of the owner"
	// UserAccessKey and UserSecretKey are those of a user who may do nothing but what a policy of the bucket says.
	UserAccessKey = "USERKEY"
	UserSecretKey = "the secret of the user"
)

// patience is how long a server may take to answer.
const patience = 30 * time.Second

// Options say what is different from a server as it is by default.
type Options struct {
	TLS bool // with a certificate that only CAPath vouches for
}

// Server is one that runs, with an empty bucket. Its methods are for the goroutine of the test.
type Server struct {
	Endpoint string // URL
	CAPath   string // file of the certificate that vouches for it; "" without TLS

	t       testing.TB
	program string
	dir     string
	address string
	client  *http.Client
	process *exec.Cmd
	said    *bytes.Buffer // by the process
	ended   chan struct{} // closed when the process has
}

// Start starts a server that ends with the test, and returns when it answers. Where there is none the test is skipped, or fails
// if STROEM_TEST_REQUIRE names s3.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	s := &Server{t: t, program: find(t), dir: t.TempDir(), client: &http.Client{Transport: &http.Transport{}}}
	for _, dir := range []string{s.path("files", Bucket), s.path("properties"), s.path("users")} {
		require.NoError(t, os.MkdirAll(dir, 0o700))
	}
	users := fmt.Sprintf(`{"accessAccounts": {%q: {"access": %q, "secret": %q, "role": "user"}}}`, UserAccessKey, UserAccessKey, UserSecretKey)
	require.NoError(t, os.WriteFile(s.path("users", "users.json"), []byte(users), 0o600))
	if options.TLS {
		s.trust(certificate(t, s.path("cert.pem"), s.path("key.pem")))
	}
	t.Cleanup(func() {
		s.Stop()
		s.client.CloseIdleConnections()
	})
	// A port that is free now may be taken by the time that the server asks for it.
	for range 5 {
		s.address = freeAddress(t)
		if err := s.start(); err == nil {
			s.Endpoint = s.url("")
			return s
		}
	}
	require.FailNow(t, "the S3 server does not start", s.said.String())
	return nil
}

// Forget keeps programs and libraries for AWS from what is configured on the machine and in its environment: files, profiles, roles. It
// is for TestMain.
func Forget() error {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	return errors.Join(
		os.Setenv("AWS_CONFIG_FILE", os.DevNull), os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull), os.Setenv("AWS_EC2_METADATA_DISABLED", "true"),
	)
}

func (s *Server) path(names ...string) string {
	return filepath.Join(append([]string{s.dir}, names...)...)
}

func (s *Server) url(path string) string {
	if s.CAPath != "" {
		return "https://" + s.address + path
	}
	return "http://" + s.address + path
}

func (s *Server) trust(pem []byte) {
	s.CAPath = s.path("cert.pem")
	roots := x509.NewCertPool()
	require.True(s.t, roots.AppendCertsFromPEM(pem))
	s.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
}

// Stop kills the server, if it runs. What it has stored stays.
func (s *Server) Stop() {
	s.t.Helper()
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill() // it may have ended already
	<-s.ended
	s.process = nil
}

// Again starts a server that was stopped, with what it had and where it was, and returns when it answers.
func (s *Server) Again() {
	s.t.Helper()
	if err := s.start(); err != nil {
		require.NoError(s.t, err, s.said.String())
	}
}

func (s *Server) start() error {
	args := []string{"--quiet", "--port", s.address, "--health", "/health", "--region", Region, "--iam-dir", s.path("users")}
	if s.CAPath != "" {
		args = append(args, "--cert", s.path("cert.pem"), "--key", s.path("key.pem"))
	}
	cmd := exec.CommandContext(context.WithoutCancel(s.t.Context()), s.program, append(args, "posix", "--sidecar", s.path("properties"), s.path("files"))...)
	s.said = &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = s.said, s.said
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "ROOT_ACCESS_KEY=" + AccessKey, "ROOT_SECRET_KEY=" + SecretKey}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the S3 server: %w", err)
	}
	ended := make(chan struct{})
	s.process, s.ended = cmd, ended
	go func() {
		defer close(ended)
		_ = cmd.Wait() // what it has said tells more
	}()
	if err := s.ready(); err != nil {
		s.Stop()
		return err
	}
	return nil
}

// ready waits until the server answers, or has ended.
func (s *Server) ready() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.healthy(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("it has ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", err)
		case <-tick.C:
		}
	}
}

func (s *Server) healthy(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url("/health"), http.NoBody)
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // only read from
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", response.Status)
	}
	return nil
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().String()
}

// find returns the path of the program, which is in the root of the module that the test is of.
func find(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || dir == filepath.Dir(dir) {
			break
		}
	}
	program := filepath.Join(dir, ".bin", "s3", "versitygw")
	if _, err := os.Stat(program); err != nil {
		const missing = "there is no S3 server: make s3 builds it"
		if engines.Required("s3") {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	return program
}
