package engine

import (
	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/failpoint"
)

// The failpoints of transitions; in a program without failpoints these methods are empty.

func (t *transition) decided() {
	if failpoint.Enabled && len(t.changes.Start) > 0 {
		failpoint.Hit("start.decided")
	}
	if failpoint.Enabled && len(t.changes.End) > 0 {
		failpoint.Hit("end.decided")
	}
}

func (t *transition) committed() {
	if !failpoint.Enabled {
		return
	}
	if len(t.changes.Start) > 0 {
		failpoint.Hit("start.committed")
	}
	if len(t.changes.End) > 0 {
		failpoint.Hit("end.committed")
	}
	if len(t.changes.Stop) > 0 {
		failpoint.Hit("cancel.committed")
	}
	for i := range t.changes.Create {
		if t.changes.Create[i].SourceType == core.SourceHook {
			failpoint.Hit("hooks.committed")
		}
	}
}

func (t *transition) announced() {
	if failpoint.Enabled && len(t.changes.End) > 0 {
		failpoint.Hit("end.announced")
	}
}
