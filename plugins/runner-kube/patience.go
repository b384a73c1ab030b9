package main

import (
	"strings"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// configLimit is for what mends seldom.
const configLimit = 30 * time.Second

// patience is how long a pod may wait.
type patience struct {
	timer   *time.Timer
	limit   time.Duration
	since   time.Time // when something of it ran last
	trouble time.Time // when what mends seldom began; zero: there is nothing of that kind
}

func newPatience(limit time.Duration) patience {
	return patience{timer: time.NewTimer(limit), limit: limit, since: time.Now()}
}

func (p *patience) stop() { p.timer.Stop() }

// deadline is when it ends.
func (p *patience) deadline() time.Time {
	end := p.since.Add(p.limit)
	if sooner := p.trouble.Add(configLimit); !p.trouble.IsZero() && sooner.Before(end) {
		return sooner
	}
	return end
}

func (p *patience) reset() { p.timer.Reset(max(0, time.Until(p.deadline()))) }

// consider looks at a pod that has not begun its step. An error means that it never will.
func (p *patience) consider(f *follower, v *verdict) error {
	if v.problem == neverWill {
		return f.stuck(v, "cannot start")
	}
	if v.active {
		p.since = time.Now()
	}
	switch {
	case v.problem != seldom:
		p.trouble = time.Time{}
	case p.trouble.IsZero():
		p.trouble = time.Now()
	}
	p.reset()
	return nil
}

// impatient is called when the time is over.
func (f *follower) impatient(v *verdict) error {
	if v.active { // an init container takes its time
		f.patience.since = time.Now()
		f.patience.reset()
		return nil
	}
	return f.stuck(v, "has not started within "+time.Since(f.patience.since).Round(time.Second).String())
}

// stuck is the error of a pod that does not start, with what Kubernetes says about it.
func (f *follower) stuck(v *verdict, what string) error {
	reasons := []string{v.waiting}
	if warning := f.warning.Load(); warning != nil && !strings.Contains(v.waiting, strings.TrimSpace(*warning)) {
		reasons = append(reasons, *warning)
	}
	code := pluginapi.CodeUnavailable
	if v.problem != mayMend {
		code = pluginapi.CodePrecondition
	}
	return pluginapi.Errorf(code, "the pod %s %s: %s", f.name, what, strings.Trim(strings.Join(reasons, "; "), "; "))
}
