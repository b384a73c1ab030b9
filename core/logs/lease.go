package logs

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
)

// lease is how long this replica knows that nobody has taken over from it.
type lease struct {
	mu     sync.Mutex
	asked  time.Time // when the database was asked for it, which is before the database began to count
	life   time.Duration
	others int // replicas that were there then
}

func (l *lease) renew(asked time.Time, life time.Duration, others int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked, l.life, l.others = asked, life, others
}

// holds tells whether nobody can have taken over. A sixth of the time is left for clocks that go differently. Of the two clocks of
// this machine one stands still while the machine does, and the other one may be set.
func (l *lease) holds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := l.life - l.life/6
	wall := time.Now().Round(0).Sub(l.asked.Round(0))
	return time.Since(l.asked) < limit && wall < limit && wall > -limit
}

// alone tells whether no other replica was there lately.
func (l *lease) alone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.others == 0
}

// Join tells the other replicas that this one is there, so that it can keep logs. url is where they reach it.
func (l *Logs) Join(ctx context.Context, url string) error {
	_, err := l.see(ctx, url)
	return err
}

// see renews the lease and forgets what others have taken over.
func (l *Logs) see(ctx context.Context, url string) (core.ReplicaNews, error) {
	asked := time.Now()
	news, err := l.Registry.SeeReplica(ctx, core.Replica{ID: l.ID, URL: url, For: l.Life})
	if err != nil {
		return news, err
	}
	if len(news.Superseded) > 0 {
		jobs := make([]uuid.UUID, len(news.Superseded))
		for i := range news.Superseded {
			jobs[i] = news.Superseded[i].Job
		}
		l.writing.Lock() // who has begun to append ends first, and everybody else asks the database again
		l.known.forget(jobs...)
		l.writing.Unlock()
	}
	l.lease.renew(asked, l.Life, news.Others)
	return news, nil
}

// Run keeps the lease, and closes segments that others have gone on from, until ctx ends.
func (l *Logs) Run(ctx context.Context, url string) {
	var adopting sync.WaitGroup
	defer adopting.Wait()
	adopted, told := false, false
	for ctx.Err() == nil {
		wait := l.Life / 6
		news, err := l.see(ctx, url)
		if err != nil && ctx.Err() == nil {
			l.Logger.WarnContext(ctx, "the other replicas cannot be told that this one is there; in a while it keeps no logs", "error", err)
			wait = l.Life / 60
		}
		if news.Others > 0 && url == "" && !told {
			told = true
			l.Logger.WarnContext(ctx, "there are other replicas, and they cannot reach this one: set internal_url, or workers that ask them wait with their lines")
		}
		for _, segment := range news.Superseded {
			if err := l.settle(ctx, segment); err != nil && ctx.Err() == nil {
				l.Logger.WarnContext(ctx, "a part of a log is closed later", "job", segment.Job, "segment", segment.N, "error", err)
			}
		}
		if len(news.Superseded) > 0 && wait > time.Second {
			wait = time.Second // there may be more
		}
		if err == nil && !adopted {
			if adopted = true; !news.Adopted {
				adopting.Go(func() { l.adopt(ctx) })
			}
		}
		pause(ctx, wait)
	}
}

// Leave lets others take over sooner, once no more lines come here.
func (l *Logs) Leave(ctx context.Context, url string) error {
	_, err := l.Registry.SeeReplica(ctx, core.Replica{ID: l.ID, URL: url, For: l.Life / 6})
	l.lease.renew(time.Time{}, 0, 0)
	return err
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// adopt makes logs from before there were segments known to all replicas.
func (l *Logs) adopt(ctx context.Context) {
	jobs, err := l.Local.Jobs(time.Now())
	for err == nil && len(jobs) > 0 {
		some := jobs[:min(len(jobs), adoptedAtOnce)]
		jobs = jobs[len(some):]
		err = l.Registry.AdoptLogs(ctx, l.ID, some)
	}
	if err == nil {
		err = l.Registry.LogsAdopted(ctx, l.ID)
	}
	if err != nil && ctx.Err() == nil {
		l.Logger.WarnContext(ctx, "logs of an older version can be read only here until the next start", "error", err)
	}
}

const adoptedAtOnce = 500

// settle closes a segment of this replica's that is superseded. What a crash leaves is done again.
func (l *Logs) settle(ctx context.Context, segment core.LogSegment) error {
	file := l.Local.Of(joblog.Segment{Job: segment.Job, N: segment.N})
	before, err := l.before(ctx, segment)
	if err != nil {
		return err
	}
	attempts, err := file.Attempts(ctx)
	if err != nil {
		return err
	}
	ends := make([]core.LogStart, len(attempts))
	for i, a := range attempts {
		ends[i] = core.LogStart{Step: a.Step, Attempt: a.Attempt, First: before[attempt{a.Step, a.Attempt}] + a.Next}
	}
	starts, err := l.Registry.SettleLog(ctx, segment.Job, segment.N, ends)
	if err != nil {
		return err
	}
	cuts := make([]joblog.Attempt, len(starts))
	for i, s := range starts {
		cuts[i] = joblog.Attempt{Step: s.Step, Attempt: s.Attempt, Next: max(s.First-before[attempt{s.Step, s.Attempt}], 1)}
	}
	lines, err := file.Cut(ctx, cuts)
	if err != nil {
		return err
	}
	if err := l.Registry.CloseLog(ctx, segment.Job, segment.N, lines); err != nil {
		return err
	}
	l.known.forget(segment.Job)
	return nil
}

// before returns how many lines of attempts are in segments before one.
func (l *Logs) before(ctx context.Context, segment core.LogSegment) (map[attempt]int64, error) {
	lines := map[attempt]int64{}
	if segment.N == 1 {
		return lines, nil
	}
	starts, err := l.Registry.LogStarts(ctx, segment.Job, segment.N)
	for _, s := range starts {
		lines[attempt{s.Step, s.Attempt}] = s.First - 1
	}
	return lines, err
}
