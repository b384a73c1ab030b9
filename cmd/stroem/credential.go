package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/credentials"
)

// credential is where the token comes from that calls are made with.
type credential string

const (
	credentialUnused      credential = "" // no call to the server was prepared
	credentialFlag        credential = "flag"
	credentialEnvironment credential = "environment"
	credentialSession     credential = "session"
	credentialNone        credential = "none"
)

// codeNoUsers is what a server without users says to those who ask about themselves.
const codeNoUsers = "auth_not_configured"

// describe says it to people.
func (c credential) describe() string {
	switch c {
	case credentialFlag:
		return "--token"
	case credentialEnvironment:
		return "STROEM_TOKEN"
	case credentialSession:
		return "the stored session"
	default:
		return "none"
	}
}

// client connects to the server that the flags name, with the credential that there is: --token, STROEM_TOKEN, or the session.
func (a *app) client() (*client.Client, error) {
	c, err := a.anonymous()
	if err != nil {
		return nil, err
	}
	if a.token != "" {
		a.credential = credentialFlag
		return c.WithToken(a.token), nil
	}
	if token := strings.TrimSpace(os.Getenv("STROEM_TOKEN")); token != "" { // not a flag's default: help would print it
		a.credential = credentialEnvironment
		return c.WithToken(token), nil
	}
	a.credential = credentialNone
	store, err := a.sessions()
	if err != nil {
		return c, nil //nolint:nilerr // without a home directory there is no session
	}
	address, err := client.Address(a.server)
	if err != nil {
		return nil, err
	}
	_, ok, err := store.Session(address)
	if err != nil {
		return nil, err
	}
	if ok {
		a.credential = credentialSession
		c = c.WithSource(store.Source(address, c))
	}
	return c, nil
}

// anonymous connects to the server without a credential.
func (a *app) anonymous() (*client.Client, error) {
	return client.New(client.Options{Server: a.server, CAFile: a.caFile})
}

// sessions is where the user's sessions are stored.
func (a *app) sessions() (*credentials.Store, error) {
	if a.configDir != "" {
		return credentials.In(a.configDir), nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return nil, fmt.Errorf("find the user's config directory: %w", err)
	}
	return credentials.In(filepath.Join(dir, "stroem")), nil
}

// explainRefusals has every command say how to sign in where the server wants somebody to have.
func (a *app) explainRefusals(cmd *cobra.Command) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.explain(run(cmd, args)) }
	}
	for _, sub := range cmd.Commands() {
		a.explainRefusals(sub)
	}
}

func (a *app) explain(err error) error {
	if _, ended := errors.AsType[*credentials.EndedError](err); ended {
		return fmt.Errorf("%w\nSign in again with: %s", err, a.loginLine())
	}
	answer, ok := errors.AsType[*client.Error](err)
	if !ok || answer.Status != http.StatusUnauthorized || answer.Code == codeNoUsers {
		return err
	}
	switch a.credential {
	case credentialFlag, credentialEnvironment:
		return fmt.Errorf("%w\n%s does not take what is in %s: give another token, or sign in without one: %s",
			err, a.server, a.credential.describe(), a.loginLine())
	case credentialSession:
		return fmt.Errorf("%w\nSign in again with: %s", err, a.loginLine())
	case credentialNone:
		return fmt.Errorf("%w\nYou are not signed in at %s. Sign in with: %s", err, a.server, a.loginLine())
	default: // the command has asked for no credential, such as login itself
		return err
	}
}

// loginLine is the command that signs in at the server.
func (a *app) loginLine() string {
	if a.server == envOr("STROEM_URL", defaultServer) {
		return "stroem login"
	}
	return "stroem login --server " + a.server
}
