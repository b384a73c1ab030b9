package client

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
)

// Address is a server's address in the one form that it is known by: two that lead to the same place by their text alone, as
// HTTP://Host:80/ and http://host do, have the same.
func Address(server string) (string, error) {
	base, socket, err := parseAddress(server)
	if err != nil {
		return "", err
	}
	if socket != "" {
		if socket, err = filepath.Abs(socket); err != nil {
			return "", fmt.Errorf("find the socket: %w", err)
		}
		return unixScheme + socket, nil
	}
	host, port := strings.ToLower(base.Hostname()), base.Port()
	if port == map[string]string{"http": "80", "https": "443"}[base.Scheme] {
		port = ""
	}
	switch {
	case port != "":
		host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	return base.Scheme + "://" + host + strings.TrimRight(base.EscapedPath(), "/"), nil
}

// Exposed tells whether what is sent to a server can be read on the way: plain HTTP to another machine.
func Exposed(server string) bool {
	base, socket, err := parseAddress(server)
	if err != nil || socket != "" || base.Scheme != "http" {
		return false
	}
	if strings.EqualFold(base.Hostname(), "localhost") {
		return false
	}
	addr, err := netip.ParseAddr(base.Hostname())
	return err != nil || !addr.Unmap().IsLoopback()
}

// parseAddress returns the address that requests go to, and the path of the socket that they go through, "" for none.
func parseAddress(server string) (base *url.URL, socket string, err error) {
	target := server
	if rest, ok := strings.CutPrefix(server, unixScheme); ok {
		if rest == "" {
			return nil, "", fmt.Errorf("the server's address %q has to go on with the path of a socket", server)
		}
		target, socket = "http://"+socketHost, rest
	}
	base, err = url.Parse(target) // which makes the scheme lower case
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, "", fmt.Errorf("the server's address %q has to look like http://host:8080", server)
	}
	if base.User != nil {
		return nil, "", errors.New("the server's address holds a password: give credentials as a token")
	}
	if base.RawQuery != "" || base.Fragment != "" {
		return nil, "", fmt.Errorf("the server's address %q has to end with its path: it holds a query or a fragment", server)
	}
	return base, socket, nil
}
