package config

import (
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Log says what the process tells about itself.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text, json
}

// SlogLevel is the level for a handler.
func (l Log) SlogLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return slog.LevelInfo
	}
	return level
}

// Logger returns a logger that writes to w in the configured form.
func (l Log) Logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.SlogLevel()}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func (l *Log) validate(p *problems) {
	p.oneOf("log.level", l.Level, "debug", "info", "warn", "error")
	p.oneOf("log.format", l.Format, "text", "json")
}

// Bytes is a size; in the file also as 512KiB, 1GiB or 10MB.
type Bytes int64

var (
	sizeText  = regexp.MustCompile(`^(\d+)\s*([KMGT]?)(i?)B?$`)
	errSize   = errors.New("must be a number of bytes, or a size such as 512MiB or 1GiB")
	exponents = map[string]int{"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
)

// UnmarshalYAML reads a number of bytes, with a unit or without.
func (b *Bytes) UnmarshalYAML(node *yaml.Node) error {
	if node.Tag == "!!null" {
		return nil
	}
	parts := sizeText.FindStringSubmatch(node.Value)
	if node.Kind != yaml.ScalarNode || parts == nil {
		return errSize
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	base := int64(1000)
	if parts[3] == "i" {
		base = 1024
	}
	for range exponents[parts[2]] {
		if n > math.MaxInt64/base {
			return errSize
		}
		n *= base
	}
	if err != nil {
		return errSize
	}
	*b = Bytes(n)
	return nil
}

func (p *problems) address(key, value string) {
	_, port, err := net.SplitHostPort(value)
	if n, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || n > math.MaxUint16 {
		p.add(key, "%q is not an address; write host:port, such as 127.0.0.1:8080", value)
	}
}

// UnixScheme begins the path of a socket in place of an address.
const UnixScheme = "unix:"

// listenAddress is an address, or unix: and the path of a socket.
func (p *problems) listenAddress(key, value string) {
	path, socket := strings.CutPrefix(value, UnixScheme)
	switch {
	case !socket:
		p.address(key, value)
	case !filepath.IsAbs(path):
		p.add(key, "%q names no socket; write its whole path, such as unix:/run/stroem/server.sock", value)
	}
}

func (p *problems) url(key, value string) {
	u, err := url.Parse(value)
	if value != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		p.add(key, "must be a URL that starts with http:// or https:// and names a host")
	}
}

func (p *problems) min(key string, value, least int) {
	if value < least {
		p.add(key, "is %d and must be at least %d", value, least)
	}
}

func (p *problems) max(key string, value, most int) {
	if value > most {
		p.add(key, "is %d and must be at most %d", value, most)
	}
}

func (p *problems) tags(key string, tags []string) {
	for _, tag := range tags {
		if tag == "" || len(tag) > 100 {
			p.add(key, "%q is not a tag: 1 to 100 characters", tag)
		}
	}
}

func (p *problems) positive(key string, value time.Duration) {
	if value <= 0 {
		p.add(key, "must be more than 0")
	}
}

func (p *problems) oneOf(key, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		p.add(key, "%q is not one of %s", value, strings.Join(allowed, ", "))
	}
}

func (p *problems) dataDir(dir string) {
	if dir == "" {
		p.add("data_dir", "is required, because this user has no home directory")
	}
}

// dataDir is where data goes that nobody gave a place: the system's directory for root, else the user's.
func dataDir(env map[string]string) string {
	var base string
	switch {
	case os.Geteuid() == 0:
		return "/var/lib/stroem"
	case runtime.GOOS == "windows":
		base = env["LOCALAPPDATA"]
	case env["XDG_DATA_HOME"] != "":
		base = env["XDG_DATA_HOME"]
	case env["HOME"] == "":
	case runtime.GOOS == "darwin":
		base = filepath.Join(env["HOME"], "Library", "Application Support")
	default:
		base = filepath.Join(env["HOME"], ".local", "share")
	}
	if base == "" {
		return ""
	}
	return filepath.Join(base, "stroem")
}

func variables(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	return env
}
