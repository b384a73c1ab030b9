// Package core holds what Strøm is about: workspaces, tasks, jobs and steps, the states they pass through, and the one
// pure function, [Advance], that decides what follows when a step ends. It does no I/O and depends on the standard
// library alone; everything else in the tree depends on it.
package core
