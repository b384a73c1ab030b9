package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/server"
)

func (u *userCommands) list() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List users, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return u.with(cmd.Context(), func(users *server.Users) error {
				list, err := users.List(cmd.Context())
				if err != nil {
					return err
				}
				return u.printUsers(list)
			})
		},
	}
}

func (u *userCommands) printUsers(list []api.User) error {
	if u.out.structured() {
		return u.out.document(list)
	}
	if len(list) == 0 {
		return u.out.line("No users found.")
	}
	rows := make([][]string, len(list))
	for i, one := range list {
		rows[i] = []string{printable(one.Email), oneLine(orDash(one.Name)), one.Role, access(one), signsIn(one), when(one.LastLoginAt)}
	}
	return u.out.table([]string{"EMAIL", "NAME", "ROLE", "ACCESS", "SIGNS IN WITH", "LAST LOGIN"}, rows)
}

func (u *userCommands) show() *cobra.Command {
	return &cobra.Command{
		Use:   "show EMAIL",
		Short: "Show a user",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return u.with(cmd.Context(), func(users *server.Users) error {
				one, err := users.Get(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return u.printUser(one)
			})
		},
	}
}

func (u *userCommands) printUser(one api.User) error {
	if u.out.structured() {
		return u.out.document(one)
	}
	for _, line := range [][2]string{
		{"E-mail", printable(one.Email)},
		{"Name", oneLine(orDash(one.Name))},
		{"Id", one.UserID},
		{"Role", one.Role},
		{"Groups", printable(dash(strings.Join(one.Groups, ", ")))},
		{"Access", access(one)},
		{"Signs in with", signsIn(one)},
		{"Created", when(&one.CreatedAt)},
		{"Last login", when(one.LastLoginAt)},
	} {
		if err := u.out.line(fmt.Sprintf("%-14s %s", line[0]+":", line[1])); err != nil {
			return err
		}
	}
	return nil
}

func access(one api.User) string {
	if one.Disabled {
		return "disabled"
	}
	return "enabled"
}

func signsIn(one api.User) string { return printable(dash(strings.Join(one.AuthMethods, ", "))) }
