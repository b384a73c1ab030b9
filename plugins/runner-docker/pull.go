package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/docker/docker/api/types/image"

	"github.com/stroem/stroem/pluginapi"
)

// progressPause is how long the log of a step is quiet about a pull.
const progressPause = 5 * time.Second

// pull has the engine pull the step's image, and tells about it in the step's log.
func (l *launch) pull(ctx context.Context) error {
	auth, err := l.cfg.registryAuth(l.image)
	if err != nil {
		return err
	}
	if err := l.begin(); err != nil {
		return err
	}
	limit, cancel := context.WithTimeoutCause(ctx, l.cfg.pullTimeout(), errPullLimit)
	defer cancel()
	p := &pull{w: l.out.Stderr(), image: familiar(l.image), begin: time.Now(), layers: map[string]layer{}}
	p.tell("Pulling %s …", p.image)
	err = l.pullWith(limit, auth, p)
	switch {
	case err == nil:
		p.tell("Pulled %s in %.1f s%s", p.image, time.Since(p.begin).Seconds(), p.outcome())
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(context.Cause(limit), errPullLimit):
		return pluginapi.Errorf(pluginapi.CodeTimeout, "pulling the image %q took more than %v: see pull_timeout_secs in the plugin's config", p.image, l.cfg.pullTimeout())
	}
	return l.pullFailed(err, auth != "")
}

var errPullLimit = errors.New("the pull takes too long")

func (l *launch) pullWith(ctx context.Context, auth string, p *pull) error {
	stream, err := l.api.ImagePull(ctx, l.image.String(), image.PullOptions{RegistryAuth: auth})
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }() // only read from
	for decoder := json.NewDecoder(stream); ; {
		var m pullMessage
		err := decoder.Decode(&m)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case m.failure() != "":
			return errors.New(m.failure())
		}
		p.take(&m)
	}
}
