package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// pullMessage is one of those by which the engine tells about a pull.
type pullMessage struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Progress struct {
		Current int64 `json:"current"`
		Total   int64 `json:"total"`
	} `json:"progressDetail"`
	Error       string `json:"error"` // of engines before errorDetail
	ErrorDetail struct {
		Message string `json:"message"`
	} `json:"errorDetail"`
}

// failure is why the pull has failed, "" if it has not.
func (m *pullMessage) failure() string { return cmp.Or(m.ErrorDetail.Message, m.Error) }

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
