package main

import (
	"context"
	"encoding/json"

	"github.com/distribution/reference"

	"github.com/stroem/stroem/pluginapi"
)

// launch is the way of a step from its request to a container that is ready to start.
type launch struct {
	*runner
	req     *pluginapi.RunRequest
	spec    *spec
	image   reference.Named
	name    string // of the container, and of the volume
	out     pluginapi.Output
	started bool   // out knows of the run
	id      string // of the container, once it is there
	volume  bool   // the workspace is in a volume
}

// state is what is told of a run. Runs are found by their labels, so that this is for people.
type state struct {
	Container string `json:"container"`
}

func (r *runner) newLaunch(req *pluginapi.RunRequest, out pluginapi.Output) (*launch, error) {
	if err := checkRunID(req.RunID); err != nil {
		return nil, err
	}
	s, err := parseSpec(req.Type, req.Spec)
	if err != nil {
		return nil, err
	}
	image, err := s.image(req.Type, r.cfg)
	if err != nil {
		return nil, err
	}
	if req.Type == typeShell {
		if err := s.checkWorkspace(req.Workspace.Dir); err != nil {
			return nil, err
		}
	}
	return &launch{runner: r, req: req, spec: s, image: image, name: name(req.RunID, req.Labels), out: out}, nil
}

// begin tells the host that there is something of the run now.
func (l *launch) begin() error {
	if l.started {
		return nil
	}
	l.started = true
	return begin(l.out, l.name)
}

func begin(out pluginapi.Output, name string) error {
	data, err := json.Marshal(state{Container: name})
	if err != nil {
		return err
	}
	return out.Started(data)
}

// prepare makes the container with everything in it that the step needs. The host hears of the run when it is complete, so
// that a run which is known can be gone on with, or before the first output, which a pull makes.
func (l *launch) prepare(ctx context.Context) error {
	if l.cfg.PullPolicy == pullAlways {
		if err := l.pull(ctx); err != nil {
			return err
		}
	}
	err := l.create(ctx)
	if isNoImage(err) {
		if l.cfg.PullPolicy != pullMissing {
			return pluginapi.Errorf(pluginapi.CodeNotFound,
				"the image %q does not exist on the engine, and pull_policy is %s: load it there, or change pull_policy", familiar(l.image), l.cfg.PullPolicy)
		}
		if err := l.pull(ctx); err != nil {
			return err
		}
		err = l.create(ctx)
	}
	if err != nil {
		return l.failed("create the container", err)
	}
	if err := l.fill(ctx); err != nil {
		return err
	}
	return l.begin()
}

// familiar is an image as people write it: without the registry that is meant if none is named.
func familiar(image reference.Named) string { return reference.FamiliarString(image) }
