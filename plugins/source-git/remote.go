package main

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The schemes of URLs that are understood.
const (
	schemeHTTPS = "https"
	schemeHTTP  = "http"
	schemeSSH   = "ssh"
	schemeFile  = "file"
)

// remote is the place of a repository. It holds no secrets.
type remote struct {
	scheme string
	user   string // ssh only
	host   string // without brackets; "" for files
	port   string // "": that of the scheme
	path   string
}

var (
	scpLike  = regexp.MustCompile(`^(?:([^@:/]+)@)?(\[[^\]]+\]|[^@:/\[\]]+):(.*)$`)
	hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)
	userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]*$`)
	// Numbers that some resolvers take for an address: 2852039166, 0xa9fea9fe, 169.254.43518.
	numeric = regexp.MustCompile(`(?i)(^|\.)(0x[0-9a-f]*|[0-9]+)\.?$`)
)

// parseRemote reads a URL as git has them, and refuses whatever is no plain place of a repository. Errors do not show the
// URL: it may hold a secret.
func parseRemote(text string) (remote, error) {
	switch {
	case text == "":
		return remote{}, invalid("url is not set; it names the repository of the workspace")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }):
		return remote{}, invalid("url: control characters and blanks are not allowed; write %%20 for a blank")
	case strings.HasPrefix(text, "-"):
		return remote{}, invalid("url: must not begin with -")
	}
	var r remote
	var err error
	switch m := scpLike.FindStringSubmatch(text); {
	case strings.Contains(text, "://"):
		r, err = parseURL(text)
	case m != nil && strings.HasPrefix(m[3], ":"): // as in ext::sh, which runs a program
		err = invalid("url: remote helpers such as ext:: are not allowed")
	case m != nil && slices.Contains([]string{schemeHTTPS, schemeHTTP, schemeSSH, schemeFile, "git"}, m[2]):
		err = invalid("url: // is missing after %s:", m[2])
	case m != nil:
		r = remote{scheme: schemeSSH, user: m[1], host: strings.Trim(m[2], "[]"), path: m[3]}
	default:
		err = invalid("url: must be https://host/path, ssh://user@host/path or user@host:path; " +
			"for a folder of the server's machine there is the workspace type folder")
	}
	if err != nil {
		return remote{}, err
	}
	return r, r.check()
}

func parseURL(text string) (remote, error) {
	u, err := url.Parse(text)
	if err != nil {
		return remote{}, invalid("url: is not a URL")
	}
	r := remote{scheme: u.Scheme, host: u.Hostname(), port: u.Port(), path: u.Path}
	_, password := u.User.Password()
	switch {
	case u.Scheme == "git":
		return r, invalid("url: git:// is neither encrypted nor authenticated; use https:// or ssh://")
	case u.Scheme != schemeHTTPS && u.Scheme != schemeHTTP && u.Scheme != schemeSSH && u.Scheme != schemeFile:
		return r, invalid("url: must begin with https:// or ssh://, or be user@host:path")
	case password || u.User != nil && u.Scheme != schemeSSH:
		return r, invalid("url: holds credentials; put them into auth, where they are kept secret")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return r, invalid("url: must have no query and no fragment; a branch or tag belongs into ref")
	case strings.Contains(u.Host, "%"):
		return r, invalid("url: zones of addresses are not allowed")
	}
	r.user = u.User.Username()
	return r, nil
}

// check refuses parts that a program could take for something else.
func (r remote) check() error {
	if strings.ContainsFunc(r.path, unicode.IsControl) || !utf8.ValidString(r.path) { // %00 and the like
		return invalid("url: control characters are not allowed")
	}
	if r.scheme == schemeFile {
		if r.host != "" || !strings.HasPrefix(r.path, "/") {
			return invalid("url: must be file:///path")
		}
		return nil
	}
	if err := checkHost(r.host); err != nil {
		return err
	}
	if port, err := strconv.ParseUint(r.port, 10, 16); r.port != "" && (err != nil || port == 0) {
		return invalid("url: has no valid port")
	}
	if r.user != "" && !userName.MatchString(r.user) {
		return invalid("url: has no valid user name")
	}
	if strings.Trim(r.path, "/") == "" || strings.HasPrefix(r.path, "-") {
		return invalid("url: names no repository")
	}
	return nil
}

// checkHost refuses what is no host name, and addresses that no repository is at.
func checkHost(host string) error {
	if address, err := netip.ParseAddr(host); err == nil {
		return checkAddress(address)
	}
	if len(host) > 253 || !hostName.MatchString(host) || numeric.MatchString(host) {
		return invalid("url: has no valid host name")
	}
	return nil
}

// address is what to connect to.
func (r remote) address() string {
	port := r.port
	if port == "" {
		port = map[string]string{schemeHTTPS: "443", schemeHTTP: "80", schemeSSH: "22"}[r.scheme]
	}
	return net.JoinHostPort(r.host, port)
}

// String is the URL, in one form however it was written.
func (r remote) String() string {
	u := url.URL{Scheme: r.scheme, Host: r.host, Path: r.path}
	if strings.Contains(r.host, ":") {
		u.Host = "[" + r.host + "]"
	}
	if r.port != "" {
		u.Host = net.JoinHostPort(r.host, r.port)
	}
	if r.user != "" {
		u.User = url.User(r.user)
	}
	if r.scheme == schemeSSH && !strings.HasPrefix(r.path, "/") {
		return strings.TrimPrefix(u.User.String()+"@", "@") + u.Host + ":" + r.path // relative to the user's home
	}
	return u.String()
}

// key names the repository in a directory.
func (r remote) key() string {
	sum := sha256.Sum256([]byte(r.String()))
	return hex.EncodeToString(sum[:16])
}
