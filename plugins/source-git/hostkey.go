package main

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/stroem/stroem/pluginapi"
)

// hostKeys judges the keys that ssh servers show.
type hostKeys struct {
	check      ssh.HostKeyCallback
	algorithms []string // those of the keys that are known; nil: any
}

// hostKeys reads what the workspace knows of the server.
func (w *workspace) hostKeys() (hostKeys, error) {
	if w.InsecureAcceptAnyHost {
		return hostKeys{check: ssh.InsecureIgnoreHostKey()}, nil //nolint:gosec // the operator said so
	}
	lines, where, err := w.knownHosts()
	if err != nil {
		return hostKeys{}, err
	}
	known, err := parseKnownHosts(lines)
	if err != nil {
		return hostKeys{}, invalid("%s: has a line that cannot be read: %w", where, err)
	}
	at := knownhosts.Normalize(w.remote.address())
	check := func(address string, from net.Addr, key ssh.PublicKey) error {
		err := known(address, from, key)
		if wrong, ok := errors.AsType[*knownhosts.KeyError](err); ok {
			return refuseHost(at, where, key, len(wrong.Want) > 0)
		}
		if err != nil {
			return pluginapi.Errorf(pluginapi.CodeDenied, "the host key of %s is refused: %w", at, err)
		}
		return nil
	}
	return hostKeys{check: check, algorithms: algorithms(known, w.remote.address(), bytes.Contains(lines, []byte("@cert-authority")))}, nil
}

func refuseHost(host, where string, key ssh.PublicKey, changed bool) error {
	shown := key.Type() + " " + ssh.FingerprintSHA256(key)
	if changed {
		return pluginapi.Errorf(pluginapi.CodeDenied, "the host key of %s is another one than in %s: the server shows %s. "+
			"If its owner confirms that the key was replaced, replace the line; else somebody may be passing for the server", host, where, shown)
	}
	return pluginapi.Errorf(pluginapi.CodeDenied, "the host key of %s is not known: the server shows %s. "+
		"If its owner confirms that, add what `ssh-keyscan` prints for it to %s", host, shown, where)
}

// knownHosts returns the lines and what to call their place.
func (w *workspace) knownHosts() (lines []byte, where string, err error) {
	switch {
	case w.KnownHosts != "" && w.KnownHostsPath != "":
		return nil, "", invalid("known_hosts and known_hosts_path exclude each other")
	case w.KnownHosts != "":
		return []byte(w.KnownHosts), "known_hosts", nil
	case w.KnownHostsPath != "":
		lines, err := os.ReadFile(w.KnownHostsPath)
		if err != nil {
			return nil, "", invalid("known_hosts_path: %w", err)
		}
		return lines, w.KnownHostsPath, nil
	}
	files := []string{"/etc/ssh/ssh_known_hosts"}
	if home, err := os.UserHomeDir(); err == nil {
		files = slices.Insert(files, 0, filepath.Join(home, ".ssh", "known_hosts"))
	}
	for _, name := range files {
		text, err := os.ReadFile(name) //nolint:gosec // the user's own
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, "", pluginapi.Errorf(pluginapi.CodeDenied, "read the known hosts: %w", err)
		}
		lines = append(append(lines, text...), '\n')
	}
	return lines, "known_hosts of the workspace or " + files[0], nil
}

// parseKnownHosts reads lines by way of a file: that is what the library takes.
func parseKnownHosts(lines []byte) (check ssh.HostKeyCallback, err error) {
	f, err := os.CreateTemp("", "known_hosts-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.Write(lines)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if check, err = knownhosts.New(f.Name()); err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), f.Name(), "line"))
	}
	return check, nil
}

// algorithms asks for the keys that are known of a host by showing one that cannot be: a server with several keys is
// then asked for one of these, and not for the one that it likes best.
func algorithms(known ssh.HostKeyCallback, address string, authorities bool) []string {
	wrong, ok := errors.AsType[*knownhosts.KeyError](known(address, &net.TCPAddr{IP: net.IPv4zero}, nobody{}))
	if !ok {
		return nil
	}
	var all []string
	add := func(names ...string) {
		for _, name := range names {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	if authorities && len(wrong.Want) > 0 {
		add(ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
			ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01)
	}
	for _, key := range wrong.Want {
		if kind := key.Key.Type(); kind == ssh.KeyAlgoRSA {
			add(ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		} else {
			add(kind)
		}
	}
	return all
}

// nobody is a key that no host has.
type nobody struct{}

func (nobody) Type() string                        { return "nobody" }
func (nobody) Marshal() []byte                     { return []byte("nobody") }
func (nobody) Verify([]byte, *ssh.Signature) error { return errors.New("nobody signs") }
