package access

import (
	"slices"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/glob"
)

// Level is what may be done with a task and its jobs. Each may do all that the one before it may.
type Level int

// Levels.
const (
	LevelNone Level = iota // nothing: it is not there
	LevelView              // see it
	LevelRun               // run it, cancel its jobs
)

// Rule gives users a level on tasks. Workspace and Tasks are globs, as package glob has them.
type Rule struct {
	Workspace string
	Tasks     []string // one of them has to match; none: all tasks
	Groups    []string // whoever is in one of them,
	Users     []string // and whoever has one of these e-mails, by core.FoldEmail; neither: everybody
	Allow     Level
}

// Policy is a list of rules. It does not change; nil is the policy without rules.
type Policy struct{ rules []Rule }

// New makes a policy of rules, the first of which comes first.
func New(rules []Rule) *Policy {
	p := &Policy{rules: make([]Rule, len(rules))}
	for i, rule := range rules {
		users := make([]string, len(rule.Users))
		for j, email := range rule.Users {
			users[j] = core.FoldEmail(email)
		}
		rule.Users = users
		rule.Tasks = slices.Clone(rule.Tasks)
		if len(rule.Tasks) == 0 {
			rule.Tasks = []string{"*"}
		}
		rule.Groups = slices.Clone(rule.Groups)
		p.rules[i] = rule
	}
	return p
}

// For returns what the user may do. It looks at each rule, so that nothing needs to look at users and groups again: it is made
// when a user is loaded, and made again when their role or groups change.
func (p *Policy) For(u core.User) Power {
	w := Power{role: levelOf(u.Role)}
	if p == nil || u.Role.Covers(core.RoleAdmin) {
		return w
	}
	email := core.FoldEmail(u.Email)
	for i := range p.rules {
		if p.rules[i].names(email, u.Groups) {
			w.rules = append(w.rules, &p.rules[i])
		}
	}
	return w
}

// levelOf is the highest level that a role can have; that of a role that is none is LevelNone.
func levelOf(role core.Role) Level {
	switch {
	case role.Covers(core.RoleOperator):
		return LevelRun
	case role.Covers(core.RoleViewer):
		return LevelView
	default:
		return LevelNone
	}
}

func (r *Rule) names(email string, groups []string) bool {
	if len(r.Users) == 0 && len(r.Groups) == 0 {
		return true
	}
	return slices.Contains(r.Users, email) || slices.ContainsFunc(r.Groups, func(g string) bool { return slices.Contains(groups, g) })
}

func (r *Rule) matches(workspace, task string) bool {
	return glob.Match(r.Workspace, workspace) && slices.ContainsFunc(r.Tasks, func(tasks string) bool { return glob.Match(tasks, task) })
}

// allTasks tells whether it matches whatever task.
func (r *Rule) allTasks() bool {
	return slices.ContainsFunc(r.Tasks, glob.All)
}
