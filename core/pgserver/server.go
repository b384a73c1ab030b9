// Package pgserver runs a PostgreSQL server as a child process: for `stroem dev` and for tests. It uses the binaries
// that are installed, and otherwise downloads some.
package pgserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options say where the data is kept and how the server is tuned.
type Options struct {
	Dir      string            // holds the data and is created; an earlier server's data is used again
	Port     int               // 0: a free one
	Settings map[string]string // of postgresql.conf
	Output   io.Writer         // the server's own log; nil discards it
}

// Server is a running PostgreSQL server that listens on loopback alone.
type Server struct {
	url  string
	port int
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

const (
	startLimit = 60 * time.Second
	stopLimit  = 20 * time.Second
	database   = "stroem"
)

// Start initialises the data directory if it is new and starts a server on a free port. The server ends with Stop, or
// when this process dies.
func Start(ctx context.Context, opts Options) (*Server, error) {
	bin, err := findBinaries(opts.Dir)
	if err != nil {
		return nil, err
	}
	owner, err := ownerFor(opts.Dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(opts.Dir, "data")
	password, err := initialise(ctx, bin, data, owner)
	if err != nil {
		return nil, err
	}
	port := opts.Port
	if port == 0 {
		if port, err = freePort(ctx); err != nil {
			return nil, err
		}
	}
	s := &Server{port: port, done: make(chan struct{})}
	s.url = (&url.URL{
		Scheme: "postgres", User: url.UserPassword(database, password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: "/" + database, RawQuery: "sslmode=disable",
	}).String()
	args := []string{"-D", data, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-k", ""}
	for key, value := range opts.Settings {
		args = append(args, "-c", key+"="+value)
	}
	s.cmd = exec.Command(filepath.Join(bin, "postgres"), args...) //nolint:gosec,noctx // stopped by Stop, gently
	var log bytes.Buffer
	output := opts.Output
	if output == nil {
		output = io.Discard
	}
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Dir = output, io.MultiWriter(output, &limitedWriter{&log, 16 << 10}), opts.Dir
	owner.apply(s.cmd)
	if err := startTied(s.cmd, s.done); err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	if err := s.waitReady(ctx); err != nil {
		s.Stop()
		return nil, fmt.Errorf("%w\n%s", err, strings.TrimSpace(log.String()))
	}
	return s, nil
}

// URL is the connection string of the server's database.
func (s *Server) URL() string { return s.url }

// Port is where the server listens.
func (s *Server) Port() int { return s.port }

// Kill ends the server as a crash would, for tests of recovery.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// Stop ends the server, waits for that, and may be called again.
func (s *Server) Stop() {
	select {
	case <-s.done:
		return
	default:
	}
	_ = s.cmd.Process.Signal(os.Interrupt) // PostgreSQL's fast shutdown
	select {
	case <-s.done:
	case <-time.After(stopLimit):
		s.Kill()
	}
}

func (s *Server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	maintenance := strings.Replace(s.url, "/"+database+"?", "/postgres?", 1)
	for {
		conn, err := pgx.Connect(ctx, maintenance)
		if err == nil {
			defer func() { _ = conn.Close(ctx) }()
			return createDatabase(ctx, conn)
		}
		select {
		case <-s.done:
			return errors.New("postgres ended while it started")
		case <-ctx.Done():
			return fmt.Errorf("postgres did not become ready: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func createDatabase(ctx context.Context, conn *pgx.Conn) error {
	var exists bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", database).Scan(&exists); err != nil {
		return fmt.Errorf("look for the database: %w", err)
	}
	if exists {
		return nil
	}
	if _, err := conn.Exec(ctx, "create database "+database); err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	return nil
}

// initialise runs initdb for a new data directory, and returns the password of the database's user.
func initialise(ctx context.Context, bin, data string, owner owner) (string, error) {
	file := filepath.Join(filepath.Dir(data), "password")
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		password, err := os.ReadFile(file) //nolint:gosec // beside the data that it opens
		if err != nil {
			return "", fmt.Errorf("read the database's password: %w", err)
		}
		return string(password), checkVersion(ctx, bin, data)
	}
	password := rand.Text()
	if err := owner.writeFile(file, password); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", database, "--pwfile", file, //nolint:gosec // found by us
		"-A", "scram-sha-256", "-E", "UTF8", "--locale", "C", "--no-sync")
	cmd.Dir = filepath.Dir(data)
	owner.apply(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initialise the database in %s: %w\n%s", data, err, bytes.TrimSpace(out))
	}
	return password, nil
}

func checkVersion(ctx context.Context, bin, data string) error {
	stored, err := os.ReadFile(filepath.Join(data, "PG_VERSION")) //nolint:gosec // inside our directory
	if err != nil {
		return fmt.Errorf("read the version of the data: %w", err)
	}
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output() //nolint:gosec // found by us
	if err != nil {
		return fmt.Errorf("ask postgres for its version: %w", err)
	}
	want := strings.TrimSpace(string(stored))
	if fields := strings.Fields(string(out)); len(fields) < 3 || strings.Split(fields[2], ".")[0] != want {
		return fmt.Errorf("the data in %s belongs to PostgreSQL %s, but %s is installed: install %s, or remove the directory to start afresh",
			data, want, strings.TrimSpace(string(out)), want)
	}
	return nil
}

func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("find a free port: unexpected address %s", l.Addr())
	}
	return addr.Port, nil
}

type limitedWriter struct {
	buf  *bytes.Buffer
	left int
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.buf.Write(p[:n])
	w.left -= n
	return len(p), nil
}
