// Package access says what a user may see and run: their role, narrowed by rules for workspaces and tasks. It is pure.
//
// The role comes first. A viewer can only ever view, and no rule binds an admin. Of the rules that name the user, the first one
// that matches workspace and task decides; if there is none, the role does. What a rule gives beyond the role is not given.
// LevelNone hides: for that user the task, and its jobs, do not exist.
package access
