// Package engine runs jobs: it creates them, hands their steps to workers, takes the reports, and decides with
// [core.Advance] what follows. Every transition is one database transaction, so a crash at any instant loses nothing and
// does nothing twice.
//
//	create.go      a task and its input become a job        claim.go, render.go   ready steps go to workers
//	transition.go  reports become changes, in batches       start.go, complete.go what workers report
//	cancel.go      people stop jobs                         sweep.go              what is overdue, on one replica
//	waiters.go     long polls and who wakes them            workers.go, lease.go  who may do what
//	tokens.go      what workers register with               revoke.go             who may do nothing any more
package engine
