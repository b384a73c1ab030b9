package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/credentials"
)

type loginFlags struct {
	email    string
	insecure bool
}

func (a *app) loginCommand() *cobra.Command {
	var f loginFlags
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Sign in at a server",
		Long: `login asks for e-mail address and password and stores the session in the user's config directory, for that server; commands
go on with it until "stroem logout", or for 30 days after the last one. Where standard input is no terminal, the password is its
first line. Programs better use an API key (stroem key create) in STROEM_TOKEN.

A password is not sent by plain HTTP to another machine unless --insecure says so.`,
		Example: `  stroem login --server https://stroem.example.com
  stroem login --email ada@example.com < password-file`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.login(cmd, f) },
	}
	cmd.Flags().StringVar(&f.email, "email", "", "e-mail address (default: asked for)")
	cmd.Flags().BoolVar(&f.insecure, "insecure", false, "send the password by plain HTTP to another machine")
	return cmd
}

func (a *app) login(cmd *cobra.Command, f loginFlags) error {
	ctx := cmd.Context()
	c, err := a.anonymous()
	if err != nil {
		return err
	}
	defer c.Close()
	address, err := client.Address(a.server)
	if err != nil {
		return err
	}
	store, err := a.sessions()
	if err != nil {
		return err
	}
	if _, _, err := store.Session(address); err != nil { // before anybody types a password in vain
		return err
	}
	if client.Exposed(a.server) {
		if !f.insecure {
			return fmt.Errorf("%s is reached by plain HTTP, so that anybody on the way could read the password: "+
				"use https, or --insecure if the network is trusted", address)
		}
		cmd.PrintErrf("Warning: anybody on the way to %s can read the password, and the tokens that follow.\n", address)
	}
	config, err := c.Config(ctx) // before a password goes to something that is no Strøm
	if err != nil {
		return err
	}
	if !config.AuthRequired {
		return fmt.Errorf("the server at %s has no users: nobody has to sign in", address)
	}
	ask := newAsker(cmd)
	email, err := ask.email(ctx, f.email)
	if err != nil {
		return err
	}
	password, err := ask.password(ctx, "Password: ")
	if err != nil {
		return err
	}
	tokens, err := c.Login(ctx, api.Login{Email: email, Password: password})
	if client.IsCode(err, "login_failed") && !config.HasInternalAuth {
		return fmt.Errorf("%w\nUsers of %s sign in with a provider in the browser: make an API key there, and set STROEM_TOKEN to it",
			err, address)
	}
	if err != nil {
		return err
	}
	me, err := a.remember(ctx, c, store, address, tokens)
	if err != nil {
		return err
	}
	a.credential = credentialSession
	return a.printIdentity(identity{Server: address, Credential: a.credential, User: &me},
		fmt.Sprintf("Signed in at %s as %s (%s).", address, printable(me.Email), me.Role))
}

// remember stores the session that has begun. The one before it ends.
func (a *app) remember(ctx context.Context, c *client.Client, store *credentials.Store, address string, tokens api.Tokens) (api.Me, error) {
	me, err := c.WithToken(tokens.AccessToken).Me(ctx)
	var before credentials.Session
	if err == nil {
		before, err = store.Put(ctx, address, credentials.NewSession(me.Email, tokens))
	}
	if err != nil { // nobody would know of the session
		return me, errors.Join(err, c.Logout(context.WithoutCancel(ctx), tokens.RefreshToken))
	}
	if before.RefreshToken != "" {
		_ = c.Logout(ctx, before.RefreshToken) // it ends by itself, later
	}
	return me, nil
}

func (a *app) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "End the stored session at a server",
		Long: `logout forgets the session that "stroem login" has stored for the server, and has the server end it. If the server cannot be
told, the session is forgotten all the same, and ends there after 30 days.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.anonymous()
			if err != nil {
				return err
			}
			defer c.Close()
			return a.logout(cmd, c)
		},
	}
}

// signedOut is what logout has done.
type signedOut struct {
	Server string `json:"server"`
	Stored bool   `json:"stored"` // there was a session
	Ended  bool   `json:"ended"`  // the server has ended it
}

func (a *app) logout(cmd *cobra.Command, c *client.Client) error {
	address, err := client.Address(a.server)
	if err != nil {
		return err
	}
	store, err := a.sessions()
	if err != nil {
		return err
	}
	session, stored, err := store.Remove(cmd.Context(), address)
	if err != nil {
		return err
	}
	done := signedOut{Server: address, Stored: stored}
	if stored {
		if err := c.Logout(cmd.Context(), session.RefreshToken); err != nil {
			cmd.PrintErrf("The session is forgotten here, and ends at the server by itself, which could not be told: %v\n", err)
		} else {
			done.Ended = true
		}
	}
	switch {
	case a.out.structured():
		return a.out.document(done)
	case !stored:
		return a.out.line("You were not signed in at " + address + ".")
	default:
		return a.out.line("Signed out at " + address + ".")
	}
}
