// Package pgserver runs a PostgreSQL server as a child process: for `stroem dev` and for tests. It uses the binaries
// that are installed, and otherwise downloads some.
package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options say where the data is kept and how the server is tuned.
type Options struct {
	Dir      string            // holds the data and is created; an earlier server's data is used again
	Port     int               // 0: a free one
	Settings map[string]string // of postgresql.conf
	Output   io.Writer         // the server's own log; nil discards it
	// Cache is for what servers in several directories have in common: downloaded binaries, and data to begin with, which
	// saves most of the time of a first start. It is created, and may be used by several processes at the same time. "" keeps
	// the binaries in Dir, and begins from nothing.
	Cache string
	// Temporary is for data that nobody needs afterwards. The server does not wait for the disk, ends at once, and, where
	// there are such, listens on a socket in Dir, which nobody else may enter, in place of a port.
	Temporary bool
	Progress  func(what string) // is told of what takes long, before it begins; may be nil
}

// Server is a running PostgreSQL server that only this machine can reach.
type Server struct {
	url       string
	port      int
	temporary bool
	cmd       *exec.Cmd
	done      chan struct{} // closed when the process has ended
}

const (
	startLimit = 60 * time.Second
	stopLimit  = 20 * time.Second
	database   = "stroem"
)

// Start initialises the data directory if it is new and starts a server on a free port. The server ends with Stop, or
// when this process dies.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	if opts.Cache == "" {
		opts.Cache = opts.Dir
	}
	bin, err := findBinaries(opts.Cache, opts.Progress)
	if err != nil {
		return nil, err
	}
	owner, err := ownerFor(opts.Dir)
	if err != nil {
		return nil, err
	}
	seed := seedFor(opts, bin)
	password, seeded, err := initialise(ctx, bin, opts, seed, owner)
	if err != nil {
		return nil, err
	}
	s, err := launch(ctx, bin, opts, password, owner)
	if err != nil && seeded && ctx.Err() == nil { // the seed may be damaged: once more, from nothing
		seed.discard(opts.Dir)
		return Start(ctx, opts)
	}
	return s, err
}

// launch starts a server on data that is there.
func launch(ctx context.Context, bin string, opts Options, password string, owner owner) (*Server, error) {
	s := &Server{port: opts.Port, temporary: opts.Temporary, done: make(chan struct{})}
	args := []string{"-D", filepath.Join(opts.Dir, "data")}
	target := url.URL{Scheme: "postgres", User: url.UserPassword(database, password), Path: "/" + database}
	if opts.Temporary && opts.Port == 0 && socketFits(opts.Dir) {
		s.port = socketPort
		args = append(args, "-h", "", "-k", opts.Dir, "-c", "unix_socket_permissions=0700")
		target.RawQuery = url.Values{"host": {opts.Dir}, "port": {strconv.Itoa(s.port)}, "sslmode": {"disable"}}.Encode()
	} else {
		if s.port == 0 {
			var err error
			if s.port, err = freePort(ctx); err != nil {
				return nil, err
			}
		}
		args = append(args, "-h", "127.0.0.1", "-k", "")
		target.Host, target.RawQuery = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), "sslmode=disable"
	}
	s.url = target.String()
	args = append(args, "-p", strconv.Itoa(s.port))
	for key, value := range opts.settings() {
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

// settings are those of postgresql.conf.
func (o Options) settings() map[string]string {
	settings := map[string]string{}
	if o.Temporary { // what is committed is still with the operating system, so that the end of the server loses nothing
		settings = map[string]string{"fsync": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0"}
	}
	maps.Copy(settings, o.Settings)
	return settings
}

// socketPort is part of a socket's name.
const socketPort = 5432

// socketFits tells whether a server can listen on a socket in dir: the path must not be long.
func socketFits(dir string) bool {
	const longest = 100 // of 104 bytes or more, with an end
	return runtime.GOOS != "windows" && len(filepath.Join(dir, ".s.PGSQL."+strconv.Itoa(socketPort))) <= longest
}

// URL is the connection string of the server's database.
func (s *Server) URL() string { return s.url }

// Port is where the server listens, on loopback or as a part of the name of its socket.
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
	how := syscall.SIGINT // PostgreSQL's fast shutdown
	if s.temporary {
		how = syscall.SIGQUIT // the immediate one: the next start has to recover
	}
	if s.cmd.Process.Signal(how) != nil { // there are no signals here, or it has just ended
		s.Kill()
		return
	}
	select {
	case <-s.done:
	case <-time.After(stopLimit):
		s.Kill()
	}
}

func (s *Server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	maintenance := strings.Replace(s.url, "/"+database+"?", "/postgres?", 1) // the path comes before every value of the query
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
		case <-time.After(5 * time.Millisecond):
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
