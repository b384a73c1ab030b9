package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/auth"
	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/server"
)

// userCommands are the commands for operators, which go to the server's database.
type userCommands struct {
	*app
	config string
}

func (a *app) userCommand() *cobra.Command {
	u := &userCommands{app: a}
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Manage users in the server's database, for operators",
		Long: `user manages the users of a server on a machine that reaches its database: no server has to run, and nobody has to be able to sign
in. It reads db.url as stroem-server does, from the configuration file or from STROEM__DB__URL. A new role or password, and
disabling somebody, ends their sessions; a server that runs notices within seconds. Every change is in the audit log.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVarP(&u.config, "config", "c", os.Getenv("STROEM_CONFIG"),
		"the server's configuration file (STROEM_CONFIG; default server-config.yaml)")
	cmd.AddCommand(
		u.add(), u.list(), u.show(), u.setRole(),
		u.change("disable EMAIL", "Keep a user out: their sessions end, and their API keys are refused", "disabled",
			func(ctx context.Context, users *server.Users, email string) (api.User, error) {
				return users.SetDisabled(ctx, email, true)
			}),
		u.change("enable EMAIL", "Let a user in again", "enabled",
			func(ctx context.Context, users *server.Users, email string) (api.User, error) {
				return users.SetDisabled(ctx, email, false)
			}),
		u.resetPassword(),
	)
	return cmd
}

// with calls do with the users of the database.
func (u *userCommands) with(ctx context.Context, do func(*server.Users) error) error {
	c, err := config.LoadDatabase(u.config, os.Environ())
	if err != nil {
		return err
	}
	users, err := server.OpenUsers(ctx, c, operator())
	if err != nil {
		return err
	}
	defer users.Close()
	return do(users)
}

// operator is the name under which changes are in the audit log.
func operator() string {
	if current, err := user.Current(); err == nil {
		return current.Username
	}
	return strconv.Itoa(os.Getuid())
}

// withPassword is a user with a password that was made for them.
type withPassword struct {
	api.User

	Password string `json:"password,omitempty"`
}

func (u *userCommands) add() *cobra.Command {
	var name, role string
	var fromInput, none bool
	cmd := &cobra.Command{
		Use:   "add EMAIL",
		Short: "Create a user",
		Long: `add creates a user. Without --password-stdin or --no-password a password is made, and shown this once. With --no-password the
user signs in with a provider alone.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := auth.NewUser{Email: strings.TrimSpace(args[0]), Name: name}
			var err error
			if n.Role, err = parseRole(role); err != nil {
				return err
			}
			made := ""
			if !none {
				if n.Password, made, err = choosePassword(cmd, fromInput); err != nil {
					return err
				}
			}
			return u.with(cmd.Context(), func(users *server.Users) error {
				added, err := users.Add(cmd.Context(), n)
				if err != nil {
					return err
				}
				return u.printWithPassword(cmd, "User "+added.Email+" is created ("+added.Role+").", added, made)
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the user's name")
	cmd.Flags().StringVar(&role, "role", string(core.RoleOperator), "viewer, operator or admin")
	cmd.Flags().BoolVar(&fromInput, "password-stdin", false, "take the password from standard input")
	cmd.Flags().BoolVar(&none, "no-password", false, "the user signs in with a provider")
	cmd.MarkFlagsMutuallyExclusive("password-stdin", "no-password")
	return cmd
}

func (u *userCommands) resetPassword() *cobra.Command {
	var fromInput bool
	cmd := &cobra.Command{
		Use:   "reset-password EMAIL",
		Short: "Give a user another password, which ends their sessions",
		Long:  `reset-password gives a user another password. Without --password-stdin one is made, and shown this once.`,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, made, err := choosePassword(cmd, fromInput)
			if err != nil {
				return err
			}
			return u.with(cmd.Context(), func(users *server.Users) error {
				changed, err := users.SetPassword(cmd.Context(), args[0], password)
				if err != nil {
					return err
				}
				return u.printWithPassword(cmd, "User "+changed.Email+" has another password.", changed, made)
			})
		},
	}
	cmd.Flags().BoolVar(&fromInput, "password-stdin", false, "take the password from standard input")
	return cmd
}

// choosePassword takes one from standard input, or makes one.
func choosePassword(cmd *cobra.Command, fromInput bool) (password, made string, err error) {
	if fromInput {
		password, err = newAsker(cmd).password(cmd.Context(), "Password: ")
		return password, "", err
	}
	made = rand.Text()
	return made, made, nil
}

// printWithPassword prints what was done, and a password alone on standard output, so that it can be taken from there.
func (u *userCommands) printWithPassword(cmd *cobra.Command, text string, one api.User, made string) error {
	switch {
	case u.out.structured():
		return u.out.document(withPassword{one, made})
	case made == "":
		return u.out.line(text)
	default:
		cmd.PrintErrln(text + " The password is shown this once:")
		return u.out.line(made)
	}
}

func (u *userCommands) setRole() *cobra.Command {
	return &cobra.Command{
		Use:   "set-role EMAIL ROLE",
		Short: "Make a user a viewer, an operator or an admin",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			role, err := parseRole(args[1])
			if err != nil {
				return err
			}
			return u.with(cmd.Context(), func(users *server.Users) error {
				changed, err := users.SetRole(cmd.Context(), args[0], role)
				if err != nil {
					return err
				}
				return u.printChanged(changed, "has the role "+changed.Role)
			})
		},
	}
}

// change is a command that does one thing to a user.
func (u *userCommands) change(use, short, done string, do func(context.Context, *server.Users, string) (api.User, error)) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return u.with(cmd.Context(), func(users *server.Users) error {
				changed, err := do(cmd.Context(), users, args[0])
				if err != nil {
					return err
				}
				return u.printChanged(changed, "is "+done)
			})
		},
	}
}

func (u *userCommands) printChanged(one api.User, what string) error {
	if u.out.structured() {
		return u.out.document(one)
	}
	return u.out.line("User " + one.Email + " " + what + ".")
}

func parseRole(text string) (core.Role, error) {
	role := core.Role(text)
	if !role.Covers(core.RoleViewer) {
		return "", &exitError{exitUsage, fmt.Errorf("the role is %q: it has to be viewer, operator or admin", text)}
	}
	return role, nil
}
