package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/access"
	"github.com/stroem/stroem/core/config"
)

func TestAccessPolicy(t *testing.T) {
	t.Parallel()
	require.Nil(t, (&Server{}).accessPolicy())
	s := &Server{config: config.Server{ACL: []config.ACLRule{
		{Workspace: "prod", Tasks: []string{"deploy-*"}, Users: []string{"Ada@example.com"}, Allow: config.AllowRun},
		{Workspace: "prod", Groups: []string{"staff"}, Allow: config.AllowView},
		{Workspace: "prod", Allow: config.AllowNone},
	}}}
	power := func(email string, groups ...string) access.Power {
		return s.accessPolicy().For(core.User{Email: email, Groups: groups, Role: core.RoleOperator})
	}
	require.Equal(t, access.LevelRun, power("ada@example.com", "staff").Task("prod", "deploy-x"))
	require.Equal(t, access.LevelView, power("ada@example.com", "staff").Task("prod", "x"))
	require.Equal(t, access.LevelNone, power("ada@example.com").Task("prod", "x"))
	require.Equal(t, access.LevelView, power("b@example.com", "staff").Task("prod", "deploy-x"))
	require.Equal(t, access.LevelRun, power("b@example.com").Task("dev", "x"))
}
