//go:build !linux

// Package dockerd runs Docker engines for tests, which takes Linux.
package dockerd

// Inside does nothing where no engine can be started.
func Inside() {}
