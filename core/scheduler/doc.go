// Package scheduler runs the tasks of triggers that fire by time. When each fires next is kept in the database, so that
// what was missed while no server ran is made up for; each instant is stored together with its job, so that it fires once,
// whatever crashes and however many replicas there are.
package scheduler
