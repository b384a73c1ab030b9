// Package failpoint names the moments of an orchestration at which tests kill the server. In a program that is built with the
// tag failpoints, a process that comes to the point that STROEM_FAILPOINT names dies of SIGKILL there: nothing is flushed,
// answered or undone. In every other program [Hit] is empty and costs nothing.
//
// tests/e2e kills a server at each of them and writes what became of it to docs/reliability.md.
package failpoint

// Variable is the environment variable that arms a point: its name, or name:n for the nth time that it is come to.
const Variable = "STROEM_FAILPOINT"

// Point is a moment at which a server can be killed.
type Point struct {
	Name string
	When string // as docs/reliability.md tells it
}

// Points are all of them, in the order of a job's life.
var Points = []Point{
	{"create.store", "a new job has been made, and is not stored"},
	{"create.committed", "a new job is stored; waiting claims have not been woken"},
	{"create.announced", "waiting claims have been woken; who asked for the job has no answer"},
	{"claim.committed", "steps have been given to a worker that has not got the answer"},
	{"claim.rendered", "their inputs have been rendered and stored; the worker has not got the answer"},
	{"start.decided", "a step's start has been decided under the locks, and is not written"},
	{"start.committed", "a step's start is stored, and the worker has not got the answer"},
	{"log.received", "log lines have come, and are not stored"},
	{"log.stored", "log lines are stored, and the worker has not got the answer"},
	{"end.locked", "reports have come and their jobs are locked; nothing is decided"},
	{"end.decided", "what follows from a step's end has been decided, and is not written"},
	{"end.committed", "a step's end is stored with all that follows; nobody has been told"},
	{"end.announced", "waiting claims have been woken; the worker has not got the answer"},
	{"child.made", "the job of a step that runs a task has been made, and is not stored"},
	{"child.ended", "a child job has ended, and its parent has not been told"},
	{"child.told", "the parent's step has ended with its child"},
	{"hooks.made", "the jobs of a job's hooks have been made; neither they nor its end are stored"},
	{"hooks.committed", "a job's end and the jobs of its hooks are stored; nobody has been told"},
	{"event.before", "a hook has failed, and the log of its job does not say so yet"},
	{"event.after", "the log of the job says that its hook has failed"},
	{"upload.due", "a job has ended, and its log is not in the archive"},
	{"upload.stored", "a log is in the archive, and the database does not say so"},
	{"cancel.committed", "a job is cancelled, and its running steps and child jobs have not been told"},
	{"children.found", "child jobs of a cancelled job have been found, and not cancelled"},
	{"fire.before", "a trigger is due, and its job is not made"},
	{"fire.stored", "the fire and its job are stored; the scheduler has not gone on"},
	{"sweep.judged", "a lost worker is marked, and its steps have not been ended"},
	{"sweep.found", "steps of lost workers have been found, and not ended"},
	{"sweep.recovered", "the steps of a lost worker have been ended, and the sweep has not"},
	{"takeover.decided", "a worker takes the name of another; what becomes of the steps has been decided, and is not written"},
	{"takeover.committed", "the take-over is stored, and the new worker has not got the answer"},
}
