package main

import (
	"cmp"
	"errors"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/stroem/stroem/pluginapi"
)

// The types of auth.
const (
	authKey   = "ssh_key"
	authToken = "token"
	authBasic = "basic"
)

// auth is how a workspace authenticates. A nil one is anonymous over https, and asks the agent over ssh.
type auth struct {
	Type       string `json:"type"`
	Username   string `json:"username"`
	Password   string `json:"password"`
	Token      string `json:"token"`
	Key        string `json:"key"`
	KeyPath    string `json:"key_path"`
	Passphrase string `json:"passphrase"`
}

// check says what does not fit together.
func (a *auth) check(r remote) error {
	if a == nil {
		return nil
	}
	overHTTP := r.scheme == schemeHTTPS || r.scheme == schemeHTTP
	switch {
	case r.scheme == schemeFile:
		return invalid("auth: is of no use with file:// URLs")
	case a.Type == authKey && overHTTP:
		return invalid("auth.type: ssh_key is for ssh; use token or basic with https")
	case a.Type == authToken && !overHTTP:
		return invalid("auth.type: token is for https; use ssh_key with ssh")
	case a.Type == authToken && a.Token == "":
		return invalid("auth.token: is required for auth of type token")
	case a.Type == authBasic && (a.Username == "" || a.Password == ""):
		return invalid("auth: username and password are required for auth of type basic")
	case a.Type != authKey && a.Type != authToken && a.Type != authBasic:
		return invalid("auth.type: must be ssh_key, token or basic")
	case a.Key != "" && a.KeyPath != "":
		return invalid("auth: key and key_path exclude each other")
	case strings.ContainsAny(a.Username, "\r\n\x00") || overHTTP && strings.Contains(a.Username, ":"):
		return invalid("auth.username: holds characters that no name has")
	default:
		return nil
	}
}

// basic returns the name and password for https, "" for none.
func (a *auth) basic() (username, password string) {
	switch {
	case a == nil:
		return "", ""
	case a.Type == authToken:
		return cmp.Or(a.Username, "x-access-token"), strings.TrimSpace(a.Token)
	default:
		return a.Username, a.Password
	}
}

// sshUser is who logs in over ssh.
func (a *auth) sshUser(r remote) string {
	if a == nil {
		return cmp.Or(r.user, "git")
	}
	return cmp.Or(a.Username, r.user, "git")
}

// sshMethods returns how to authenticate over ssh; done is to be called when that is over.
func (a *auth) sshMethods() (methods []ssh.AuthMethod, done func(), err error) {
	none := func() {}
	switch {
	case a != nil && a.Type == authBasic:
		return []ssh.AuthMethod{ssh.Password(a.Password)}, none, nil
	case a != nil && (a.Key != "" || a.KeyPath != ""):
		signer, err := a.signer()
		return []ssh.AuthMethod{ssh.PublicKeys(signer)}, none, err
	default:
		return agentMethods()
	}
}

func agentMethods() ([]ssh.AuthMethod, func(), error) {
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return nil, nil, invalid("auth: ssh needs a key: set key or key_path with type ssh_key, or SSH_AUTH_SOCK in the " +
			"environment of the plugin (plugins.source-git.env)")
	}
	conn, err := net.Dial("unix", socket) //nolint:noctx,gosec // local, so that it answers at once or not at all; the operator names it
	if err != nil {
		return nil, nil, pluginapi.Errorf(pluginapi.CodeUnavailable, "ask the ssh agent: %w", err)
	}
	return []ssh.AuthMethod{ssh.PublicKeysCallback(agent.NewClient(conn).Signers)}, func() { _ = conn.Close() }, nil
}

// signer reads the private key. Errors tell nothing of it.
func (a *auth) signer() (ssh.Signer, error) {
	text := []byte(a.Key)
	what := "auth.key"
	if a.KeyPath != "" {
		what = "auth.key_path"
		var err error
		if text, err = os.ReadFile(a.KeyPath); err != nil {
			return nil, invalid("auth.key_path: %w", err)
		}
	}
	if n := len(text); n > 0 && text[n-1] != '\n' {
		text = append(text, '\n') // lost on the way through variables
	}
	var signer ssh.Signer
	var err error
	if a.Passphrase == "" {
		signer, err = ssh.ParsePrivateKey(text)
	} else {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(text, []byte(a.Passphrase))
	}
	if _, missing := errors.AsType[*ssh.PassphraseMissingError](err); missing {
		return nil, invalid("%s: the key is encrypted; set auth.passphrase", what)
	}
	if err != nil {
		return nil, invalid("%s: is no private key that can be read%s", what, map[bool]string{true: " with this passphrase"}[a.Passphrase != ""])
	}
	return signer, nil
}

// secrets are the texts that must not be shown.
func (a *auth) secrets() []string {
	if a == nil {
		return nil
	}
	return []string{a.Password, a.Token, a.Key, a.Passphrase}
}
