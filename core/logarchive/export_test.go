package logarchive

import (
	"context"
	"time"

	"github.com/stroem/stroem/core/joblog"
)

// SetMemberSize has what is archived from now on have members of so many bytes of lines.
func (a *Archive) SetMemberSize(n int64) { a.size = n }

// SetPatience is how long a log store may take for the next bytes.
func (a *Archive) SetPatience(d time.Duration) { a.patience, a.takingPatience = d, d }

// PutObject is Put without a look at what is there.
func (a *Archive) PutObject(ctx context.Context, key string, v *joblog.View) error {
	_, err := a.write(ctx, key, v, nil)
	return err
}
