package pluginapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// Runner executes steps. Run is called for many steps at the same time, each with a RunID of its own.
type Runner interface {
	Plugin
	// Run executes one step and returns when it has ended, all its output has been written to out, and nothing of it is
	// left running. It calls out.Started once, before the first output and as early as there is something to
	// clean up. An exit code other than zero is a Result; an error means that the step could not be run.
	//
	// When ctx is cancelled the step must be stopped: politely, and after req.StopGrace by force. Run then still returns
	// the Result with which the step ended, or ctx's error if there is none. context.Cause(ctx) is ErrStopped,
	// ErrTimedOut or ErrHostGone.
	//
	// ErrHostGone means that nobody follows this call any more. A step of a type that is not Attachable has to end at
	// once. One of an Attachable type has to go on: Run returns and leaves it alone, and the next instance of the plugin
	// gets Attach for it, or Remove. What is to go on must not be a child that ends with the plugin: [Serve], and the
	// host, kill the plugin's process group, and nothing beyond that.
	Run(ctx context.Context, req *RunRequest, out Output) (*Result, error)
	// Remove ends what is left of a run whose Run call is not under way any more, because the plugin or its host died, or
	// which came to no result, and releases its resources. It is idempotent, and safe for a run that never started or is unknown. A run that is
	// under way is ended before the call, with ErrHostGone.
	Remove(ctx context.Context, req *RemoveRequest) error
}

// Attacher is optional for runners: it takes up again a run that outlived its plugin process, as a container may. It is
// called for types that are Attachable, after the plugin or the worker was started anew.
type Attacher interface {
	// Attach continues the run from which req.State came, as Run does, calling out.Started included. Its context means
	// what it means to Run, and it may be stopped as soon as it has begun. A run that is gone is an [*Error] with
	// CodeNotFound; one that has ended meanwhile is not gone as long as its result is known.
	//
	// It writes the output from req.Since on: all of it that was written at that time or later, and nothing that was
	// written before. Lines are neither lost nor doubled if the output is kept outside of the plugin, piece by piece with
	// the times at which they came, and both Run and Attach hand out those pieces, whole lines where the step wrote whole
	// lines, with these times by [WriteTimed]. With other times, lines around req.Since may be written twice.
	Attach(ctx context.Context, req *AttachRequest, out Output) (*Result, error)
}

// NotePrefix begins lines of a runner's own in a step's log, such as of the progress of a download. They are written to
// Stderr, each whole by one Write, are not taken for output of the step, and are not to be written again by Attach.
const NotePrefix = "stroem: "

// Output receives what a run has to say. Both writers may be used concurrently; a Write blocks while the host is busy,
// and that is the back-pressure on the step. The writers do not keep the slice. A Write error means that nobody
// listens any more: the run's context ends then as well.
type Output interface {
	// Started tells the host that the step exists now. The host stores state (opaque, at most 4 KiB, no secrets)
	// and hands it to Remove or Attach after a crash.
	Started(state []byte) error
	Stdout() io.Writer
	Stderr() io.Writer
}

// TimedWriter is what both writers of an Output are as well.
type TimedWriter interface {
	io.Writer
	// WriteTimed is Write of what the step wrote at a time that is kept of it, rather than now.
	WriteTimed(p []byte, at time.Time) (int, error)
}

// WriteTimed writes p to w with the time at which the step wrote it, if w is a [TimedWriter].
func WriteTimed(w io.Writer, p []byte, at time.Time) (int, error) {
	if timed, ok := w.(TimedWriter); ok {
		return timed.WriteTimed(p, at)
	}
	return w.Write(p)
}

// Why the context of a run ended; see [context.Cause].
var (
	ErrStopped  = errors.New("stopped")
	ErrTimedOut = errors.New("timed out")
	ErrHostGone = errors.New("host is gone")
)

// MaxState is the largest state, in bytes, that Output.Started accepts.
const MaxState = 4 << 10

// RunRequest asks for one step to be run.
type RunRequest struct {
	RunID      string            // unique among all runs ever; [A-Za-z0-9_.-], at most 128 bytes
	Type       string            // ActionType.Name
	Runner     string            // ActionType.Runner
	Spec       json.RawMessage   // rendered and checked against ActionType.SpecSchema
	Env        map[string]string // may hold secrets
	Workspace  Workspace
	ScratchDir string            // a directory for this run alone, removed by the host afterwards
	StopGrace  time.Duration     // between the polite and the forced stop
	Labels     map[string]string // job, step, …: to name and mark what is created for the run
}

// Workspace is where the files of the step's workspace are, in the form that ActionType.Workspace asks for.
type Workspace struct {
	Dir   string // WorkspaceHostDir: absolute; read-only unless the action asked for a copy
	URL   string // WorkspaceDownload: of a tar.gz
	Token string // WorkspaceDownload: bearer token, short-lived, valid for URL alone
	// Writable says that the action asked for a copy of its own: Dir is that copy, and what is unpacked from URL is to be
	// writable.
	Writable bool
}

// RemoveRequest names a run whose remains are to be removed.
type RemoveRequest struct {
	RunID  string
	Type   string
	Runner string
	State  []byte // as given to Output.Started; nil when the host never received it
	Labels map[string]string
}

// AttachRequest names a run to be continued.
type AttachRequest struct {
	RunID      string
	Type       string
	Runner     string
	State      []byte
	Since      time.Time // output from here on is wanted; zero: all of it
	ScratchDir string
	StopGrace  time.Duration
	Labels     map[string]string
}

// Result is how a step ended.
type Result struct {
	ExitCode  int    // -1 if the step ended by a signal
	Signal    string // "SIGKILL"; "" if none
	OOMKilled bool   // ended because it used more memory than it may
	Message   string // what the exit code does not say; "" normally
}
