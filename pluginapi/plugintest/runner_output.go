package plugintest

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
)

// largeText is what the example large writes: the numbers 1 to 1500000, 10 MiB of them.
var largeText = sync.OnceValue(func() string {
	const last = 1_500_000
	text := make([]byte, 0, 11<<20)
	for n := 1; n <= last; n++ {
		text = append(strconv.AppendInt(text, int64(n), 10), '\n')
	}
	return string(text)
})

// largeLimit is how long the example large may take where each line is a message, on a machine that has a lot to do.
const largeLimit = 5 * time.Minute

// wantLarge checks what came of the example large.
func wantLarge(t TB, f *flight) {
	t.Helper()
	finished, err := f.wait(t, largeLimit)
	wantOK(t, "the example large", err)
	if finished != nil && finished.GetExitCode() != 0 {
		under(t, ruleExitCode).Errorf("the example large ended with {%v}, want exit code 0", finished)
	}
	got, want := f.stdout.String(), largeText()
	if got == want {
		return
	}
	same := 0
	for same < min(len(got), len(want)) && got[same] == want[same] {
		same++
	}
	line := strings.Count(got[:same], "\n") + 1
	switch {
	case same == len(got):
		under(t, ruleComplete).Errorf("the tail is lost: %d of %d bytes came, the last in line %d", len(got), len(want), line)
	case len(got) == len(want):
		under(t, ruleOrder).Errorf("from line %d on the output is not in order: %.40q", line, got[same:])
	default:
		under(t, ruleComplete).Errorf("%d of %d bytes came; from line %d on they are others: %.40q", len(got), len(want), line, got[same:])
	}
}

func (s *runnerSuite) testLarge(t TB) {
	wantLarge(t, s.start(t, s.runner(t), s.request(t, s.examples.Large)))
}

// testSlowHost lets the output wait until every buffer on the way is full.
func (s *runnerSuite) testSlowHost(t TB) {
	gate := make(chan struct{})
	f := s.fly(t, s.runner(t), s.request(t, s.examples.Large), gate)
	wait(t, "the start", f.started, patience)
	timer := time.AfterFunc(time.Second, func() { close(gate) })
	defer timer.Stop()
	wantLarge(t, f)
}

func (s *runnerSuite) testUnterminated(t TB) {
	finished, f, err := s.end(t, s.examples.Unterminated)
	wantOK(t, "the example unterminated", err)
	if got := f.stdout.String(); finished != nil && got != "no newline" {
		t.Errorf("the example unterminated wrote %.60q, want %q", got, "no newline")
	}
}

// testChunks looks at chunks while there is as much output as the host can take.
func (s *runnerSuite) testChunks(t TB) {
	f := s.start(t, s.runner(t), s.request(t, s.examples.Endless))
	const enough = 4 << 20
	if !eventually(t, patience, func() bool { return f.size() >= enough || isClosed(f.ended) }) {
		t.Fatalf("the example endless wrote %d bytes in %v", f.size(), patience)
	}
	f.stop(t, pluginv1.StopReason_STOP_REASON_STOPPED)
	s.wantStopped(t, f)
}

func (f *flight) size() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text.Len()
}

// flushLimit is how long a chunk may be under way on a busy machine. One that a plugin holds back takes far longer.
const flushLimit = 500 * time.Millisecond

// keptLimit is the same for output that is kept outside of the plugin: its time is that at which the step wrote it, and what
// keeps it may take a while to tell that the step has begun.
const keptLimit = 3 * time.Second

// testFlush looks at a line that a step writes before it goes on for long. A machine may be busy: the best of three counts.
func (s *runnerSuite) testFlush(t TB) {
	i := s.runner(t)
	limit := flushLimit
	if s.actionType.Attachable {
		limit = keptLimit
	}
	var delay time.Duration
	for range 3 {
		f := s.start(t, i, s.request(t, s.examples.Stubborn))
		wait(t, "the start", f.started, patience)
		wait(t, "output while the step goes on", f.output, patience)
		f.mu.Lock()
		delay = f.delay
		f.mu.Unlock()
		s.discard(t, i, f)
		if delay < limit {
			break
		}
	}
	if delay >= limit {
		t.Errorf("output arrived %v after the time that it says, want 20 ms", delay)
	}
	if delay < -flushLimit {
		t.Errorf("output says that it was read %v later than it arrived", -delay)
	}
}

// discard ends a run that nobody needs any more.
func (s *runnerSuite) discard(t TB, i *Instance, f *flight) {
	t.Helper()
	f.mu.Lock()
	state := f.state
	f.mu.Unlock()
	wantOK(under(t, ruleRemoveLive), "Remove", s.removeOnce(t, i, f.id, state))
	f.cancel()
	_, _ = f.wait(t, patience)
}

const (
	pressureQuiet  = time.Second     // without growth: the step is being held up
	pressureTime   = 5 * time.Second // with growth, at most
	pressureStep   = 1 << 20         // what counts as growth
	pressureMemory = 64 << 20        // what counts as gathering
)

// testPressure starts a step that writes without end, reads nothing of it, and looks at the memory of the plugin.
func (s *runnerSuite) testPressure(t TB) {
	i, gate := s.runner(t), make(chan struct{})
	pid := i.process.pid()
	before := memory(pid)
	f := s.fly(t, i, s.request(t, s.examples.Endless), gate)
	wait(t, "the start", f.started, patience)
	grown, last := int64(0), time.Now()
	eventually(t, pressureTime, func() bool {
		if now := memory(pid) - before; now > grown+pressureStep {
			grown, last = now, time.Now()
		}
		return grown > pressureMemory || time.Since(last) > pressureQuiet
	})
	if grown > pressureMemory {
		t.Errorf("the memory of the plugin has grown by %d MiB while nobody read the output", grown>>20)
		i.process.kill() // it would go on
		return
	}
	close(gate)
	f.stop(t, pluginv1.StopReason_STOP_REASON_STOPPED)
	s.wantStopped(t, f)
}
