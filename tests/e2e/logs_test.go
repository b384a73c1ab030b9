package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/stroem/stroem/core/client"
)

const hundredThousand = `
actions: {count: {type: shell, cmd: "for i in $(seq 0 19); do seq $((i * 5000 + 1)) $(((i + 1) * 5000)); sleep 0.05; done"}}
tasks: {count: {flow: {a: {action: count}}}}
`

// TestViewersOfALongLog has viewers come at any moment of a job of 100,000 lines, be cut, and go on where they were.
func TestViewersOfALongLog(t *testing.T) {
	t.Parallel()
	s := newSystem(t, workspace(t, hundredThousand), nil)
	s.startWorker("w", nil)
	job := s.execute("default", "count", nil)
	watchCounting(t, job, s)
	require.Equal(t, "completed", s.wait(job).Status)
}

// TestViewersAtAnotherReplica has them come to the replica that does not keep the log, and to either one when they go on.
func TestViewersAtAnotherReplica(t *testing.T) {
	t.Parallel()
	first := newSystem(t, workspace(t, hundredThousand), settings{"secrets": oneKey})
	second := first.replica()
	first.startWorker("w", nil)
	job := first.execute("default", "count", nil)
	watchCounting(t, job, second, first, second)
	require.Equal(t, "completed", second.wait(job).Status)
}

// watchCounting has viewers follow a job of 100,000 numbered lines, at one server after another.
func watchCounting(t *testing.T, job string, at ...*system) {
	t.Helper()
	const lines, viewers = 100_000, 12
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var viewing errgroup.Group
	for i := range viewers {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		viewing.Go(func() error {
			<-time.After(time.Duration(random.IntN(2000)) * time.Millisecond)
			next, cuts := 1, 0
			for {
				ended, err := at[cuts%len(at)].view(ctx, job, &next, random.IntN(20))
				if err != nil {
					return fmt.Errorf("viewer %d, cut %d times, at line %d: %w", i, cuts, next, err)
				}
				if ended && next == lines+1 {
					return nil
				}
				if ended {
					return fmt.Errorf("viewer %d, cut %d times, has only %d lines", i, cuts, next-1)
				}
				cuts++
			}
		})
	}
	require.NoError(t, viewing.Wait())
}

// view follows a log of numbers from the given line on, for so many frames or until the job has ended.
func (s *system) view(ctx context.Context, job string, next *int, frames int) (ended bool, err error) {
	conn, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://%s/api/jobs/%s/logs/stream?from=%d", s.listen, job, *next), nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(1 << 20)
	for range frames {
		_, data, err := conn.Read(ctx)
		if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		for line := range strings.Lines(string(data)) {
			if got := textOf(line); got != strconv.Itoa(*next) {
				return false, fmt.Errorf("%q comes in place of %d", got, *next)
			}
			*next++
		}
	}
	return false, nil
}

func textOf(line string) string {
	var l struct{ Line string }
	if err := json.Unmarshal([]byte(line), &l); err != nil {
		return "not a line: " + line
	}
	return l.Line
}

// TestHostileOutput has steps print what breaks logs elsewhere. It is stored as it was printed, as far as it is text, and no
// process needs memory for it.
func TestHostileOutput(t *testing.T) { //nolint:paralleltest // it measures memory
	var content strings.Builder
	content.WriteString(`
actions:
  endless: {type: shell, cmd: "head -c 100000000 /dev/zero | tr '\\0' x; echo; echo end"}
  odd: {type: shell, script: odd.sh}
  three: {type: shell, cmd: "echo {{ input.n }} 1; echo {{ input.n }} 2 >&2; echo {{ input.n }} 3"}
tasks:
  endless: {flow: {a: {action: endless}}}
  odd: {flow: {a: {action: odd}}}
  crowd:
    flow:
`)
	const steps = 1000
	for i := range steps {
		_, _ = fmt.Fprintf(&content, "      s%d: {action: three, input: {n: %d}}\n", i, i)
	}
	dirs := workspace(t, content.String())
	odd := []struct{ printed, want string }{
		{`nul:\000:`, "nul::"},
		{`bad:\377\376 half:\303`, "bad:\uFFFD\uFFFD half:\uFFFD"},
		{`\033[31mred\033[0m \033]0;title\007 \033]8;;http://x\033\\link\033]8;;\033\\`, "\x1b[31mred\x1b[0m \x1b]0;title\a \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\"},
		{`{"step":"b","stream":"stdout","ts":"2026-01-02T03:04:05.000000Z","line":"forged"}`, `{"step":"b","stream":"stdout","ts":"2026-01-02T03:04:05.000000Z","line":"forged"}`},
		{`"}\r`, `"}`},
		{`","line":"x"},"step":"_server"`, `","line":"x"},"step":"_server"`},
		{`back\\slash \\u0041 \\n`, `back\slash \u0041 \n`},
		{`over\rwritten\ttab\010\013`, "over\rwritten\ttab\b\v"},
		{`\342\200\256rtl \342\200\250separator`, "\u202Ertl \u2028separator"},
		{``, ``},
		{`<script>alert(1)</script> & '`, `<script>alert(1)</script> & '`},
	}
	script := ""
	for _, line := range odd {
		script += "printf '" + strings.ReplaceAll(strings.ReplaceAll(line.printed, "'", `'\''`), "%", "%%") + `\n` + "'\n"
	}
	require.NoError(t, os.WriteFile(dirs["default"]+"/odd.sh", []byte(script), 0o700))
	s := newSystem(t, dirs, nil)
	w := s.startWorker("w", settings{"max_concurrent": steps})
	grown := watchMemory(t, map[string]int{
		"server": s.server.pid(), "worker": w.pid(), "runner-shell": child(t, w.pid(), "runner-shell"),
	})

	job := s.execute("default", "odd", nil)
	require.Equal(t, "completed", s.wait(job).Status)
	var got, want []string
	require.NoError(t, s.Follow(t.Context(), job, client.LogQuery{}, func(lines string) error {
		for line := range strings.Lines(lines) {
			got = append(got, textOf(line))
		}
		return nil
	}))
	for _, line := range odd {
		want = append(want, line.want)
	}
	require.Equal(t, want, got)
	page, err := s.Logs(t.Context(), job, client.LogQuery{Step: "b"})
	require.NoError(t, err)
	require.Empty(t, page.Logs, "nobody writes for another step")

	job = s.execute("default", "endless", nil)
	require.Equal(t, "completed", s.wait(job).Status)
	size, last := 0, ""
	require.NoError(t, s.Follow(t.Context(), job, client.LogQuery{}, func(lines string) error {
		for line := range strings.Lines(lines) {
			last = textOf(line)
			text, _ := strings.CutSuffix(last, " [line too long: continues below]")
			size += strings.Count(text, "x")
		}
		return nil
	}))
	require.Equal(t, "end", last)
	require.Equal(t, 100_000_000, size)

	job = s.execute("default", "crowd", nil)
	require.Equal(t, "completed", s.wait(job).Status)
	of := map[string][]string{}
	require.NoError(t, s.Follow(t.Context(), job, client.LogQuery{}, func(lines string) error {
		for line := range strings.Lines(lines) {
			var l struct{ Step, Line, Stream string }
			require.NoError(t, json.Unmarshal([]byte(line), &l))
			of[l.Step] = append(of[l.Step], l.Stream+" "+l.Line)
		}
		return nil
	}))
	require.Len(t, of, steps)
	for i := range steps {
		n := strconv.Itoa(i)
		require.ElementsMatch(t, []string{"stdout " + n + " 1", "stderr " + n + " 2", "stdout " + n + " 3"}, of["s"+n])
	}
	for name, mib := range grown() {
		t.Logf("%s has grown by %d MiB at most", name, mib)
		require.Less(t, mib, 128, name)
	}
}

// watchMemory returns a function that tells by how many MiB each process has grown at most since.
func watchMemory(t *testing.T, processes map[string]int) func() map[string]int {
	t.Helper()
	before := map[string]int{}
	for name, pid := range processes {
		before[name] = memory(t, pid, "VmRSS")
		require.NoError(t, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0o200)) // the peak begins anew
	}
	return func() map[string]int {
		grown := map[string]int{}
		for name, pid := range processes {
			grown[name] = (memory(t, pid, "VmHWM") - before[name]) >> 10
		}
		return grown
	}
}

// memory returns a figure of a process in KiB.
func memory(t *testing.T, pid int, figure string) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, after, _ := strings.Cut(string(data), figure+":")
	kib, err := strconv.Atoi(strings.Fields(after)[0])
	require.NoError(t, err)
	return kib
}
