// Package access is a placeholder until the real one is merged.
package access

import "github.com/stroem/stroem/core"

type Level int

const (
	LevelNone Level = iota
	LevelView
	LevelRun
)

type Policy struct{}

type Power struct{ role core.Role }

func (*Policy) For(u core.User) Power { return Power{u.Role} }

func (p Power) Task(string, string) Level {
	if p.role.Covers(core.RoleOperator) {
		return LevelRun
	}
	return LevelView
}

func (p Power) Workspace(string) bool { return true }

func (p Power) Visible() []core.Visibility { return nil }
