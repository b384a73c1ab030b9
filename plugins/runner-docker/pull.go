package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/distribution/reference"
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
		case m.Error != "":
			return errors.New(m.Error)
		}
		p.take(&m)
	}
}

// pullFailed says why an image could not be pulled, and what to do about it.
func (l *launch) pullFailed(err error, authenticated bool) error {
	text, host, image := said(err), reference.Domain(l.image), familiar(l.image)
	has := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(strings.ToLower(text), part) {
				return true
			}
		}
		return false
	}
	fail := func(code pluginapi.Code, format string, args ...any) error {
		return &pluginapi.Error{Code: code, Message: fmt.Sprintf(format, args...) + ": " + text, Retryable: code == pluginapi.CodeUnavailable, Err: err}
	}
	advice := fmt.Sprintf("set registries.%q in the plugin's config", host)
	if authenticated {
		advice = fmt.Sprintf("check registries.%q in the plugin's config", host)
	}
	switch {
	case isUnreachable(err):
		return l.failed("pull the image", err)
	case has("manifest unknown", "not found", "no matching manifest"):
		return fail(pluginapi.CodeNotFound, "the image %q does not exist in the registry %s", image, host)
	case has("pull access denied", "repository does not exist"):
		return fail(pluginapi.CodeNotFound, "the image %q does not exist in the registry %s, or needs credentials (%s)", image, host, advice)
	case has("unauthorized", "authentication required", "no basic auth", "denied", "forbidden"):
		return fail(pluginapi.CodeDenied, "the registry %s does not let the image %q be pulled: %s", host, image, advice)
	case has("dial tcp", "no such host", "connection refused", "timeout", "deadline exceeded", "unreachable", "tls", "x509", "eof"):
		return fail(pluginapi.CodeUnavailable, "the registry %s of the image %q does not answer the engine", host, image)
	}
	return fail(pluginapi.CodeInternal, "pull the image %q", image)
}

// pullMessage is one of those by which the engine tells about a pull.
type pullMessage struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Progress struct {
		Current int64 `json:"current"`
		Total   int64 `json:"total"`
	} `json:"progressDetail"`
	Error string `json:"error"`
}

// pull is one under way, as a step's log tells it.
type pull struct {
	w      io.Writer
	image  string
	begin  time.Time
	told   time.Time
	layers map[string]layer
	digest string
	news   bool // an image came that was not there
}

type layer struct {
	current, total int64
	done           bool
}

// tell writes a line. Nothing depends on it: whoever does not listen any more ends the run.
func (p *pull) tell(format string, args ...any) {
	p.told = time.Now()
	_, _ = fmt.Fprintf(p.w, pluginapi.NotePrefix+format+"\n", args...)
}

func (p *pull) take(m *pullMessage) {
	switch {
	case strings.HasPrefix(m.Status, "Digest: "):
		p.digest = strings.TrimPrefix(m.Status, "Digest: ")
	case strings.HasPrefix(m.Status, "Status: Downloaded newer"):
		p.news = true
	case m.Status == "Pulling fs layer":
		p.layers[m.ID] = layer{}
	case m.Status == "Downloading":
		p.layers[m.ID] = layer{current: m.Progress.Current, total: m.Progress.Total}
	case m.Status == "Download complete", m.Status == "Pull complete", m.Status == "Already exists":
		l := p.layers[m.ID]
		l.current, l.done = l.total, true
		p.layers[m.ID] = l
	}
	if time.Since(p.told) < progressPause || len(p.layers) == 0 {
		return
	}
	done, current, total := p.sum()
	p.tell("Pulling %s: %d of %d layers, %.1f of %.1f MB", p.image, done, len(p.layers), float64(current)/1e6, float64(total)/1e6)
}

func (p *pull) sum() (done int, current, total int64) {
	for _, l := range p.layers {
		if l.done {
			done++
		}
		current, total = current+l.current, total+l.total
	}
	return done, current, total
}

func (p *pull) outcome() string {
	text := ""
	if !p.news {
		text = "; it was there already"
	}
	if p.digest != "" {
		text += ": " + p.digest
	}
	return text
}
