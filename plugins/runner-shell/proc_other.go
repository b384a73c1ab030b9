//go:build unix && !linux && !darwin

package main

import "syscall"

// startTime cannot be told here. So nothing that a former instance left behind is ever killed by its number.
func startTime(int) string { return "" }

// groupLives says whether any process of the group is left.
func groupLives(pgid int) bool { return syscall.Kill(-pgid, 0) == nil }
