package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"

	"github.com/stroem/stroem/pluginapi"
)

// piped talks to a git-upload-pack that it has the pipes of.
type piped struct {
	in   io.WriteCloser
	out  io.Reader
	said stderr
	wait func() error
	done func()

	listed *packp.AdvRefs
}

func (p *piped) refs(context.Context) (*packp.AdvRefs, error) {
	refs, err := readRefs(p.out)
	switch {
	case errors.Is(err, packp.ErrEmptyAdvRefs):
		return nil, nil
	case errors.Is(err, packp.ErrEmptyInput):
		return nil, p.complaint()
	case err != nil:
		return nil, err
	}
	if refs.Head == nil && len(refs.References) == 0 {
		return nil, nil
	}
	p.listed = refs
	return refs, nil
}

// complaint is why git-upload-pack ended without a word on its output.
func (p *piped) complaint() error {
	_ = p.in.Close()
	_ = p.wait() // what it said is complete; how it ended tells less
	said := p.said.String()
	lower := strings.ToLower(said)
	for _, known := range []string{"not found", "does not exist", "not appear to be", "no such", "could not be found", "access denied"} {
		if strings.Contains(lower, known) {
			return pluginapi.Errorf(pluginapi.CodeNotFound, "the repository does not exist, or the credentials do not reach it: %s", said)
		}
	}
	if said == "" {
		return pluginapi.Errorf(pluginapi.CodeUnavailable, "the remote ended the conversation")
	}
	return pluginapi.Errorf(pluginapi.CodeUnavailable, "the remote ended the conversation: %s", said)
}

func (p *piped) pack(_ context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error) {
	if err := writeRequest(p.in, req); err != nil {
		return nil, err
	}
	p.listed = nil
	return io.NopCloser(p.out), p.in.Close()
}

func (p *piped) close() {
	if p.listed != nil {
		_, _ = io.WriteString(p.in, "0000") // nothing is wanted
	}
	_ = p.in.Close()
	p.done()
}

// stderr keeps the first words of the other side, without what a terminal would obey.
type stderr struct{ text []byte }

const maxSaid = 300

func (s *stderr) Write(p []byte) (int, error) {
	s.text = append(s.text, p[:min(len(p), maxSaid-min(len(s.text), maxSaid))]...)
	return len(p), nil
}

func (s *stderr) String() string {
	return strings.Join(strings.Fields(printable(string(s.text))), " ")
}
