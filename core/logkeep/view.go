package logkeep

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/logarchive"
	"github.com/stroem/stroem/core/logs"
)

// View returns the log of a job as it is now: as the replicas have it if they have all of it, else the archived part and what they
// have behind it. A job without one has an empty one. While the archive cannot be read and is needed, the error has
// core.CodeUnavailable. The caller closes it.
func (k *Keeper) View(ctx context.Context, job uuid.UUID) (*joblog.View, error) {
	v, _, err := k.view(ctx, job)
	return v, err
}

// view tells as well whether all of the log can be read, and no line of it will change its number.
func (k *Keeper) view(ctx context.Context, job uuid.UUID) (v *joblog.View, settled bool, err error) {
	place, err := k.place(ctx, job)
	if err != nil {
		return nil, false, err
	}
	rest, err := k.Rest(ctx, job)
	if err != nil && (place == nil || place.Key == "" || core.ErrorCode(err) != core.CodeUnavailable) {
		return nil, false, err
	}
	switch {
	case place == nil:
		return rest.View, rest.Settled, nil
	case place.Key == "":
		return k.unknown(ctx, job, place, rest)
	case err != nil: // the replica that has it is away
		v, err := k.archived(ctx, place.Key, place.Lines)
		return v, false, err
	}
	whole := rest.Before == 0 && rest.View.Index.Lines >= place.Lines
	if whole && rest.Here {
		return rest.View, rest.Settled, nil
	}
	v, err = k.archived(ctx, place.Key, place.Lines)
	if err != nil && whole {
		return rest.View, rest.Settled, nil
	}
	if err == nil {
		v, err = follow(ctx, v, rest.View, rest.Before)
	} else {
		err = errors.Join(err, rest.View.Close())
	}
	return v, rest.Settled, err
}

// follow returns an archived log with those lines of rest that are behind it. Before rest are so many lines.
func follow(ctx context.Context, archived, rest *joblog.View, before int64) (*joblog.View, error) {
	lines := archived.Index.Lines
	if lines >= before+rest.Index.Lines {
		return archived, rest.Close()
	}
	behind, err := joblog.Skip(ctx, rest, lines-before)
	if err != nil {
		return nil, errors.Join(err, archived.Close(), rest.Close())
	}
	return joblog.Join(archived, behind), nil
}

func (k *Keeper) archived(ctx context.Context, key string, lines int64) (*joblog.View, error) {
	v, ok, err := k.options.Archive.View(ctx, key, lines)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("there is no object %s", key)
	}
	return v, nil
}

// unknown looks for a log that nobody has archived of whom the database knows: another program may have. What is here goes first.
func (k *Keeper) unknown(ctx context.Context, job uuid.UUID, place *core.LogPlace, rest logs.Rest) (*joblog.View, bool, error) {
	if rest.View.Index.Lines > 0 || !place.Ended {
		return rest.View, rest.Settled, nil
	}
	key := logarchive.Key(place.Workspace, place.Task, place.Created, job)
	v, ok, err := k.options.Archive.View(ctx, key, 0)
	if err != nil || !ok {
		if err != nil {
			return nil, false, errors.Join(err, rest.View.Close())
		}
		return rest.View, rest.Settled, nil
	}
	return v, rest.Settled, rest.View.Close()
}

// Wait returns when the log may have lines after the given number, when ctx ends or when the store is closed.
func (k *Keeper) Wait(ctx context.Context, job uuid.UUID, after int64) error {
	place, err := k.place(ctx, job)
	if err != nil {
		return err
	}
	if place != nil && place.Lines > after {
		return nil
	}
	return k.Logs.Wait(ctx, job, after)
}

const (
	// maxPlaces is of how many jobs it is remembered what the database knows of their archived logs, and placeLife how long; askLife is
	// for how long it may be asked again.
	maxPlaces = 10_000
	placeLife = 5 * time.Second
	askLife   = time.Second
)

// places are those that were asked for lately. What is older than it seems does no harm: a copy stays for longer than that once it is
// archived.
type places struct {
	mu    sync.Mutex
	known map[uuid.UUID]knownPlace
}

type knownPlace struct {
	place *core.LogPlace
	until time.Time
}

func (k *Keeper) place(ctx context.Context, job uuid.UUID) (*core.LogPlace, error) {
	p := &k.places
	p.mu.Lock()
	known, ok := p.known[job]
	fresh := ok && time.Now().Before(known.until)
	if ok && !fresh { // while one asks, others do with what is known: there may be hundreds
		p.known[job] = knownPlace{known.place, time.Now().Add(askLife)}
	}
	p.mu.Unlock()
	if fresh {
		return known.place, nil
	}
	place, err := k.options.Store.LogPlace(ctx, job)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= maxPlaces {
		clear(p.known)
	}
	p.known[job] = knownPlace{place, time.Now().Add(placeLife)}
	return place, nil
}

func (p *places) forget(job uuid.UUID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, job)
}
