package pluginapi

import (
	"context"
	"io"
	"time"
)

// LogStore keeps objects, by key, for good. All methods may be called concurrently.
type LogStore interface {
	Plugin
	// Put stores all of r under the key, replacing what was there. It is atomic: readers see the old object or the new
	// one, and an error leaves the old one.
	Put(ctx context.Context, req *PutRequest, r io.Reader) error
	// Get reads an object or a part of it. An absent key is an [*Error] with CodeNotFound, returned by Get itself or by
	// the first Read. The caller closes the reader.
	Get(ctx context.Context, req *GetRequest) (io.ReadCloser, error)
	// Stat describes an object. An absent key is an [*Error] with CodeNotFound.
	Stat(ctx context.Context, req *StatRequest) (*ObjectInfo, error)
	// Delete removes an object. An absent key is not an error.
	Delete(ctx context.Context, req *DeleteRequest) error
}

// PutRequest names the object to store.
type PutRequest struct {
	Key         string // slash-separated, no leading slash, no "." or ".." elements
	Size        int64  // in bytes; negative when not known
	ContentType string
}

// GetRequest names the part of an object to read.
type GetRequest struct {
	Key    string
	Offset int64 // at or beyond the end of the object there is nothing to read
	Length int64 // 0 or less: to the end
}

// StatRequest names the object to describe.
type StatRequest struct{ Key string }

// DeleteRequest names the object to remove.
type DeleteRequest struct{ Key string }

// ObjectInfo describes an object.
type ObjectInfo struct {
	Key     string
	Size    int64
	ModTime time.Time
}
