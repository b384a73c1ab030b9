// Package retention removes what is older than the configuration wants to keep: finished jobs with their logs, what triggers
// did, workers that are gone, sessions. It does so in small pieces, so that nobody waits for it.
package retention
