//go:build unix

package main

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/grpc"
)

// faults are what is wrong with the runner.
type faults struct {
	// In the runner itself.
	acceptsAnything    bool
	attachesToAnything bool
	describesAnew      bool
	foreignType        bool // found by `stroem plugin check`, which knows what hosts take
	hasNoGrace         bool
	leavesProcesses    bool
	logsEnv            bool
	logsSpec           bool
	logsText           bool
	losesTail          bool
	outlivesHost       bool
	removesKnownOnly   bool
	repeatsOutput      bool
	stateHasEnv        bool
	stoppedIsSuccess   bool
	// On the wire.
	events  []func() rewriter
	streams []grpc.StreamServerInterceptor
	calls   []call
}

// breakages are the faults that there are, by name.
var breakages = map[string]func(f *faults){
	"accepts-any-spec":  func(f *faults) { f.acceptsAnything = true },
	"attach-repeats":    func(f *faults) { f.repeatsOutput = true },
	"attaches-to-gone":  func(f *faults) { f.attachesToAnything = true },
	"describes-anew":    func(f *faults) { f.describesAnew = true },
	"foreign-type":      func(f *faults) { f.foreignType = true },
	"leaves-processes":  func(f *faults) { f.leavesProcesses = true },
	"logs-env":          func(f *faults) { f.logsEnv = true },
	"logs-spec":         func(f *faults) { f.logsSpec = true },
	"logs-text":         func(f *faults) { f.logsText = true },
	"lost-tail":         func(f *faults) { f.losesTail = true },
	"no-grace":          func(f *faults) { f.hasNoGrace = true },
	"outlives-host":     func(f *faults) { f.outlivesHost = true },
	"remove-knows-only": func(f *faults) { f.removesKnownOnly = true },
	"state-has-env":     func(f *faults) { f.stateHasEnv = true },
	"stop-is-success":   func(f *faults) { f.stoppedIsSuccess = true },

	"exit-code-as-error": onEvents(exitCodeAsError),
	"finished-missing":   onEvents(finishedMissing),
	"finished-twice":     onEvents(finishedTwice),
	"gathers-output":     onEvents(gathersOutput),
	"large-chunks":       onEvents(largeChunks),
	"late-output":        onEvents(lateOutput),
	"newline-added":      onEvents(newlineAdded),
	"signal-as-code":     onEvents(signalAsCode),
	"slow-flush":         onEvents(slowFlush),
	"started-late":       onEvents(startedLate),
	"wrong-order":        onEvents(wrongOrder),

	"ends-late":       onStreams(endsLate), // which is allowed
	"id-twice":        onStreams(idTwice),
	"outlives-stream": onStreams(outlivesStream),
	"wears-out":       onStreams(wearsOut),

	"accepts-any-config":   onCalls(acceptsAnyConfig),
	"configured-again":     onCalls(configuredAgain),
	"ignores-stop":         onCalls(ignoresStop),
	"remove-does-nothing":  onCalls(removeDoesNothing),
	"schema-is-a-list":     onCalls(schemaIsAList),
	"small-messages":       onCalls(smallMessages),
	"stop-only-once":       onCalls(stopOnlyOnce),
	"type-without-schema":  onCalls(typeWithoutSchema),
	"unhealthy-in-silence": onCalls(unhealthyInSilence),
	"works-unconfigured":   onCalls(worksUnconfigured),
}

func onEvents(rewrite func() rewriter) func(*faults) {
	return func(f *faults) { f.events = append(f.events, rewrite) }
}

func onStreams(interceptor grpc.StreamServerInterceptor) func(*faults) {
	return func(f *faults) { f.streams = append(f.streams, interceptor) }
}

func onCalls(answer call) func(*faults) {
	return func(f *faults) { f.calls = append(f.calls, answer) }
}

// broken returns the faults of the given names.
func broken(names []string) (faults, error) {
	var f faults
	for _, name := range names {
		breakage, ok := breakages[name]
		if !ok {
			return f, fmt.Errorf("%q is none of %v", name, slices.Sorted(maps.Keys(breakages)))
		}
		breakage(&f)
	}
	return f, nil
}
