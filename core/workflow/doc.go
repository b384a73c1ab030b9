// Package workflow turns the YAML of a workspace into [core.Workspace]: it parses, merges and validates, and says of
// every problem in which file, line and column it is. It also snapshots tasks for jobs and checks jobs' inputs.
package workflow
