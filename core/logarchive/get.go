package logarchive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/pluginapi"
)

const (
	// patience is how long a log store may take for the next bytes of an object.
	patience = 30 * time.Second
	// takingPatience is how long it may take none, or to say at the end that it has them.
	takingPatience = 2 * time.Minute
)

var (
	errNoObject = errors.New("the log store has no such object")
	errBroken   = errors.New("the object is not what it should be")
	errPatience = errors.New("the log store has sent nothing for too long")
	errTaking   = errors.New("the log store has taken nothing for too long")
)

// unreadable is the error of a log that cannot be read.
func unreadable(key string, err error) error {
	e := &core.Error{
		Code: core.CodeUnavailable, Reason: "log_archive_unavailable", Err: err,
		Message: "The log is in the archive, which cannot be read now; it can when the server's log store (log_storage) answers again",
	}
	switch {
	case errors.Is(err, errNoObject):
		e.Message = fmt.Sprintf("The log is not in the archive any more: the object %s has to be restored in the server's log store", key)
	case errors.Is(err, errBroken):
		e.Message = fmt.Sprintf("The log is damaged in the archive: the object %s, or its index %s, has to be restored in the server's log store", key, key+suffix)
	}
	return e
}

func absent(err error) bool {
	e, ok := errors.AsType[*pluginapi.Error](err)
	return ok && e.Code == pluginapi.CodeNotFound
}

// get reads an object or a part of it, and gives up on a store that does not go on. An absent one is errNoObject, at once.
func (a *Archive) get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	watch := time.AfterFunc(a.patience, func() { cancel(errPatience) })
	r, err := a.store.Get(ctx, &pluginapi.GetRequest{Key: key, Offset: offset, Length: length})
	watch.Stop()
	if err != nil {
		err = because(ctx, err)
		cancel(nil)
		return nil, err
	}
	return &object{ctx: ctx, cancel: cancel, watch: watch, patience: a.patience, r: r}, nil
}

// object is one that is read.
type object struct {
	ctx    context.Context //nolint:containedctx // of the call, which lasts until Close
	cancel context.CancelCauseFunc
	watch  *time.Timer
	r      io.ReadCloser

	patience time.Duration
}

func (o *object) Read(p []byte) (int, error) {
	o.watch.Reset(o.patience)
	defer o.watch.Stop()
	n, err := o.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = because(o.ctx, err)
	}
	return n, err
}

func (o *object) Close() error {
	o.cancel(nil)
	return o.r.Close()
}

// because makes of an error of the log store what it means.
func because(ctx context.Context, err error) error {
	switch {
	case absent(err):
		return fmt.Errorf("%w: %w", errNoObject, err)
	case errors.Is(context.Cause(ctx), errPatience):
		return errPatience
	case errors.Is(context.Cause(ctx), errTaking):
		return errTaking
	default:
		return err
	}
}

// exactly reads so many bytes; an end before that is an error.
type exactly struct {
	r    io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	if errors.Is(err, io.EOF) && e.left > 0 {
		err = fmt.Errorf("%w: it ends early", errBroken)
	}
	return n, err
}

// failure notes an error of a reader that is not its end, so that it can be told from what a decoder says of the bytes.
type failure struct {
	r   io.Reader
	err error
}

func (f *failure) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// taken is what a log store takes, watched while it does.
type taken struct {
	r        io.Reader
	watch    *time.Timer
	patience time.Duration
}

func (t *taken) Read(p []byte) (int, error) {
	t.watch.Reset(t.patience)
	return t.r.Read(p)
}
