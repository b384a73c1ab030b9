package pluginapi

import (
	"context"
	"encoding/json"
	"time"
)

// Source brings the files of workspaces. One process serves all workspaces of its type, so the settings of a workspace
// travel with each request.
type Source interface {
	Plugin
	// Resolve finds the current revision. It is called every few seconds to minutes per workspace and should be cheap.
	// The same content has the same revision.
	Resolve(ctx context.Context, req *ResolveRequest) (*Revision, error)
	// Fetch fills the empty directory req.Dir with the files of req.Revision, or of the current one if that is "". It
	// writes nowhere else. It may be an older revision than the current one, for a job that began with it; one that no
	// longer exists is an [*Error] with CodeNotFound. After an error the
	// host throws the directory away. Everybody may read the files, nobody but their owner may write them; executable
	// ones stay so, for everybody. Links are relative and stay in the directory.
	Fetch(ctx context.Context, req *FetchRequest) (*Revision, error)
}

// ResolveRequest asks for the current revision of a workspace.
type ResolveRequest struct {
	Workspace string          // its name
	Settings  json.RawMessage // checked against Description.SettingsSchema; may hold secrets
}

// FetchRequest asks for the files of a workspace.
type FetchRequest struct {
	Workspace string
	Settings  json.RawMessage
	Revision  string // "" is the current one
	Dir       string // absolute, exists, empty
}

// Revision is a state of a workspace's files. Resolve may leave out all but the ID if that costs more; Fetch has it then.
type Revision struct {
	ID      string // [0-9A-Za-z._-], at most 128 bytes, beginning with a letter, a digit or _
	Time    time.Time
	Author  string
	Message string
}
