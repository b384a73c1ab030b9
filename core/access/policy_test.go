package access_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/access"
	"github.com/stroem/stroem/core/glob"
)

const none, view, run = access.LevelNone, access.LevelView, access.LevelRun

func TestPolicy(t *testing.T) {
	t.Parallel()
	policy := access.New([]access.Rule{
		{Workspace: "prod", Tasks: []string{"restart-*", "deploy"}, Groups: []string{"sre", "oncall"}, Allow: run},
		{Workspace: "prod", Tasks: []string{"restart-db"}, Users: []string{"Dba@Example.com"}, Allow: run},
		{Workspace: "prod", Allow: view},
		{Workspace: "vault", Users: []string{"dba@example.com"}, Tasks: []string{"rotate"}, Allow: view},
		{Workspace: "vault", Allow: none},
		{Workspace: "team-?", Tasks: []string{"secret/*"}, Allow: none},
	})
	operator := core.User{Email: "o@example.com", Role: core.RoleOperator}
	sre := core.User{Email: "s@example.com", Role: core.RoleOperator, Groups: []string{"staff", "sre"}}
	dba := core.User{Email: "DBA@example.com", Role: core.RoleOperator}
	viewer := core.User{Email: "v@example.com", Role: core.RoleViewer, Groups: []string{"sre"}}
	admin := core.User{Email: "a@example.com", Role: core.RoleAdmin}
	for _, test := range []struct {
		user            core.User
		workspace, task string
		want            access.Level
	}{
		{operator, "prod", "deploy", view},
		{operator, "dev", "deploy", run},
		{operator, "vault", "rotate", none},
		{operator, "team-a", "secret/x", none},
		{operator, "team-a", "open", run},
		{operator, "team-ab", "secret/x", run},
		{sre, "prod", "deploy", run},
		{sre, "prod", "restart-db", run},
		{sre, "prod", "other", view},
		{dba, "prod", "restart-db", run},
		{dba, "prod", "deploy", view},
		{dba, "vault", "rotate", view},
		{dba, "vault", "open", none},
		{viewer, "prod", "deploy", view},
		{viewer, "dev", "deploy", view},
		{viewer, "vault", "rotate", none},
		{admin, "vault", "rotate", run},
		{admin, "prod", "deploy", run},
		{core.User{}, "dev", "deploy", none},
		{core.User{Role: "root"}, "dev", "deploy", none},
	} {
		power := policy.For(test.user)
		require.Equal(t, test.want, power.Task(test.workspace, test.task), "%v", test)
	}
	for _, test := range []struct {
		user      core.User
		workspace string
		want      bool
	}{
		{operator, "vault", false},
		{dba, "vault", true},
		{viewer, "vault", false},
		{admin, "vault", true},
		{operator, "team-a", true},
		{operator, "prod", true},
		{operator, "dev", true},
		{core.User{}, "dev", false},
		{core.User{}, "prod", false},
	} {
		require.Equal(t, test.want, policy.For(test.user).Workspace(test.workspace), "%v", test)
	}
	require.Empty(t, policy.For(admin).Visible())
	require.Equal(t, []core.Visibility{
		{WorkspacePattern: "prod", TaskPattern: "*", Allowed: true},
		{WorkspacePattern: "vault", TaskPattern: "*"},
		{WorkspacePattern: "team-?", TaskPattern: "secret/*"},
	}, policy.For(operator).Visible())
}

func TestPolicyWithoutRules(t *testing.T) {
	t.Parallel()
	for _, policy := range []*access.Policy{nil, access.New(nil), access.New([]access.Rule{{Workspace: "*", Groups: []string{"x"}, Allow: none}})} {
		for role, want := range map[core.Role]access.Level{core.RoleViewer: view, core.RoleOperator: run, core.RoleAdmin: run, "": none} {
			power := policy.For(core.User{Role: role})
			require.Equal(t, want, power.Task("ws", "task"))
			require.Equal(t, want > none, power.Workspace("ws"))
			require.Equal(t, want == none, len(power.Visible()) > 0)
		}
	}
	require.Equal(t, none, access.Power{}.Task("ws", "task"))
}

// What is handed over may be changed afterwards.
func TestPolicyIsItsOwn(t *testing.T) {
	t.Parallel()
	rules := []access.Rule{{Workspace: "*", Tasks: []string{"a"}, Users: []string{"U@x"}, Groups: []string{"g"}, Allow: none}}
	policy := access.New(rules)
	require.Equal(t, "U@x", rules[0].Users[0])
	rules[0].Tasks[0], rules[0].Users[0], rules[0].Groups[0], rules[0].Allow = "b", "b", "b", run
	require.Equal(t, none, policy.For(core.User{Email: "u@X", Role: core.RoleOperator}).Task("ws", "a"))
	require.Equal(t, none, policy.For(core.User{Role: core.RoleOperator, Groups: []string{"g"}}).Task("ws", "a"))
}

func globs() *rapid.Generator[string]  { return rapid.StringMatching(`[ab*?/]{1,4}`) }
func names() *rapid.Generator[string]  { return rapid.StringMatching(`[ab/]{1,4}`) }
func emails() *rapid.Generator[string] { return rapid.SampledFrom([]string{"a@x", "A@X", "b@x"}) }
func groups() *rapid.Generator[string] { return rapid.SampledFrom([]string{"g", "h", "G"}) }

func rules() *rapid.Generator[[]access.Rule] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) access.Rule {
		return access.Rule{
			Workspace: globs().Draw(t, "workspace"), Tasks: rapid.SliceOfN(globs(), 0, 3).Draw(t, "tasks"),
			Users: rapid.SliceOfN(emails(), 0, 2).Draw(t, "users"), Groups: rapid.SliceOfN(groups(), 0, 2).Draw(t, "groups"),
			Allow: rapid.SampledFrom([]access.Level{none, view, run}).Draw(t, "allow"),
		}
	}), 0, 6)
}

func users() *rapid.Generator[core.User] {
	return rapid.Custom(func(t *rapid.T) core.User {
		return core.User{
			Email: emails().Draw(t, "email"), Groups: rapid.SliceOfN(groups(), 0, 2).Draw(t, "groups"),
			Role: rapid.SampledFrom([]core.Role{core.RoleViewer, core.RoleOperator, core.RoleAdmin, ""}).Draw(t, "role"),
		}
	})
}

// level is what the documents say, word by word.
func level(rules []access.Rule, u core.User, workspace, task string) access.Level {
	highest := map[core.Role]access.Level{core.RoleViewer: view, core.RoleOperator: run, core.RoleAdmin: run}[u.Role]
	if u.Role == core.RoleAdmin {
		return highest
	}
	for _, r := range rules {
		everybody := len(r.Users) == 0 && len(r.Groups) == 0
		named := everybody
		for _, email := range r.Users {
			named = named || strings.EqualFold(email, u.Email)
		}
		for _, group := range r.Groups {
			named = named || slices.Contains(u.Groups, group)
		}
		fits := len(r.Tasks) == 0
		for _, pattern := range r.Tasks {
			fits = fits || glob.Match(pattern, task)
		}
		if named && fits && glob.Match(r.Workspace, workspace) {
			return min(r.Allow, highest)
		}
	}
	return highest
}

func TestPowerIsWhatTheRulesSay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rules, user := rules().Draw(t, "rules"), users().Draw(t, "user")
		workspace, task := names().Draw(t, "workspace"), names().Draw(t, "task")
		power := access.New(rules).For(user)
		if !power.Narrowed() {
			require.Equal(t, access.New(nil).For(user).Task(workspace, task), power.Task(workspace, task))
		}
		want := level(rules, user, workspace, task)
		require.Equal(t, want, power.Task(workspace, task))
		if want > none {
			require.True(t, power.Workspace(workspace), "what is visible is somewhere")
		}
		visible := true
		for _, v := range power.Visible() {
			if glob.Match(v.WorkspacePattern, workspace) && glob.Match(v.TaskPattern, task) {
				visible = v.Allowed
				break
			}
		}
		require.Equal(t, want > none, visible, "lists show what is visible, and no more")
	})
}

// A rule more narrows, or says otherwise; it never lifts anybody above their role.
func TestRulesNeverLift(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rules, user := rules().Draw(t, "rules"), users().Draw(t, "user")
		workspace, task := names().Draw(t, "workspace"), names().Draw(t, "task")
		var nobodys *access.Policy
		require.LessOrEqual(t, access.New(rules).For(user).Task(workspace, task), nobodys.For(user).Task(workspace, task))
	})
}

func BenchmarkTask(b *testing.B) {
	var rules []access.Rule
	for range 20 {
		rules = append(rules, access.Rule{Workspace: "prod-*", Tasks: []string{"deploy-*", "*-restart"}, Allow: view})
	}
	power := access.New(rules).For(core.User{Role: core.RoleOperator})
	for b.Loop() {
		power.Task("prod-eu", "rollback/everything")
	}
}
