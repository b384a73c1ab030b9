package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

// identity is who calls are made as.
type identity struct {
	Server     string     `json:"server"`
	Credential credential `json:"credential"` // flag, environment, session, none
	User       *api.Me    `json:"user"`       // null: the server has no users
}

func (a *app) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Show who you are at the server, and by which credential",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			address, err := client.Address(a.server)
			if err != nil {
				return err
			}
			me, err := c.Me(cmd.Context())
			if client.IsCode(err, codeNoUsers) {
				return a.printIdentity(identity{Server: address, Credential: a.credential},
					"The server at "+address+" has no users: everybody may do everything.")
			}
			if err != nil {
				return err
			}
			lines := fmt.Sprintf("%-11s %s\n", "User:", printable(me.Email))
			if me.Name != nil {
				lines += fmt.Sprintf("%-11s %s\n", "Name:", printable(*me.Name))
			}
			lines += fmt.Sprintf("%-11s %s\n%-11s %s\n%-11s %s", "Role:", me.Role, "Server:", address, "Credential:", a.credential.describe())
			return a.printIdentity(identity{Server: address, Credential: a.credential, User: &me}, lines)
		},
	}
}

// printIdentity prints it for programs, or the text for people.
func (a *app) printIdentity(i identity, text string) error {
	if a.out.structured() {
		return a.out.document(i)
	}
	return a.out.line(text)
}
