package plugintest

import "slices"

// Rules are the rules of all kinds of plugins. Their ids do not change.
func Rules() []Rule { return slices.Concat(pluginRules, runnerRules, sourceRules, logStoreRules) }

// What holds for every kind.
var (
	ruleDescribe = Rule{"plugin/describe", "Describe works before Configure, always says the same, and describes a plugin that a host takes: kind, names, version, schemas."}
	ruleSchemas  = Rule{"plugin/schemas", "The schemas in a description are JSON Schemas, which are JSON objects."}
	ruleConfig   = Rule{"plugin/configure", "Configure accepts settings that match the schema, without waiting for remote services."}
	ruleOnce     = Rule{"plugin/configure-once", "A second Configure is answered with FAILED_PRECONDITION."}
	ruleFirst    = Rule{"plugin/configure-first", "Calls before Configure that need it are answered with FAILED_PRECONDITION."}
	ruleBad      = Rule{"plugin/bad-config", "Configure refuses wrong settings with INVALID_ARGUMENT."}
	ruleHealth   = Rule{"plugin/health", "CheckHealth answers within three seconds, and says why when the plugin is not healthy."}
	ruleMessage  = Rule{"plugin/message-size", "A plugin accepts messages of up to 16 MiB."}
	ruleLog      = Rule{"plugin/log-format", "A plugin writes JSON objects with @level, @message and @timestamp to its standard error, one a line."}
	ruleOrphan   = Rule{"plugin/host-gone", "A plugin whose host has died exits within ten seconds."}

	pluginRules = []Rule{
		ruleDescribe, ruleSchemas, ruleConfig, ruleOnce, ruleFirst, ruleBad, ruleHealth, ruleMessage, ruleLog, ruleOrphan,
	}
)

// What holds for runners.
var (
	ruleActionType   = Rule{"runner/action-type", "An action type has a name, a tag and a schema, and Validate finds nothing wrong with its examples."}
	ruleBadSpec      = Rule{"runner/bad-spec", "Run refuses a spec that is not a JSON object with INVALID_ARGUMENT, and works on."}
	ruleStarted      = Rule{"runner/started-first", "The first event of a run is started, with at most 4 KiB of state, and there is only one."}
	ruleFinished     = Rule{"runner/finished-once", "A run that was executed ends with exactly one finished event, and then the stream ends with status OK."}
	ruleChunks       = Rule{"runner/chunk-size", "A chunk of output has at most 64 KiB."}
	ruleFlush        = Rule{"runner/flush", "Output is sent within 20 ms of being read, also while the step goes on, and says when that was."}
	ruleComplete     = Rule{"runner/output-complete", "All output written before the end of a run reaches the host before finished."}
	ruleOrder        = Rule{"runner/output-order", "Output arrives in the order in which it was written."}
	ruleUnterminated = Rule{"runner/output-unterminated", "Output that does not end with a newline arrives as it is."}
	ruleSlowHost     = Rule{"runner/slow-host", "A host that reads slowly loses nothing."}
	rulePressure     = Rule{"runner/back-pressure", "A step whose host does not read is slowed down; its output is not gathered in memory."}
	ruleExitCode     = Rule{"runner/exit-code", "An exit code, zero or not, is a finished event; an error means that the step could not be run."}
	ruleSignal       = Rule{"runner/signal", "A step that a signal ended has exit code -1 and the name of the signal."}
	ruleStop         = Rule{"runner/stop", "A run that is told to stop ends within its grace, and does not report success."}
	ruleStopForce    = Rule{"runner/stop-force", "A run that ignores polite signals has its grace, and is then ended by force."}
	ruleStopTwice    = Rule{"runner/stop-twice", "Stop returns at once, may be repeated, and is answered with NOT_FOUND when no such run is under way."}
	ruleRunID        = Rule{"runner/run-id", "A second Run with the id of a run under way is refused with ALREADY_EXISTS, and does not disturb the first."}
	ruleRemove       = Rule{"runner/remove", "Remove may be repeated, and succeeds for runs that have ended, never started or are unknown."}
	ruleRemoveLive   = Rule{"runner/remove-running", "Remove ends a run that is under way."}
	ruleRemoveLost   = Rule{"runner/remove-lost", "Remove clears away what is left of a run whose plugin has died, by the state alone."}
	ruleParallel     = Rule{"runner/parallel", "Many runs at the same time do not disturb each other."}
	ruleCancelled    = Rule{"runner/stream-cancelled", "A run whose stream the host cancels is ended at once; one that is attachable goes on, and can be attached to."}
	ruleHostGone     = Rule{"runner/host-gone", "When the host dies, nothing is left of its runs within ten seconds, unless their type is attachable."}
	ruleLeft         = Rule{"runner/nothing-left", "When a run has ended, no process of it is left."}
	ruleSecrets      = Rule{"runner/secrets", "Values of env and spec appear neither in the plugin's log nor in the state of a run."}
	ruleAttach       = Rule{"runner/attach", "Attach takes up a run whose plugin has died, streams as Run does, and says NOT_FOUND when the run is gone."}
	ruleAttachSince  = Rule{"runner/attach-since", "Attach sends the output from since on, and nothing from before."}

	runnerRules = []Rule{
		ruleActionType, ruleBadSpec, ruleStarted, ruleFinished, ruleChunks, ruleFlush, ruleComplete, ruleOrder,
		ruleUnterminated, ruleSlowHost, rulePressure, ruleExitCode, ruleSignal, ruleStop, ruleStopForce, ruleStopTwice,
		ruleRunID, ruleRemove, ruleRemoveLive, ruleRemoveLost, ruleParallel, ruleCancelled, ruleHostGone, ruleLeft,
		ruleSecrets, ruleAttach, ruleAttachSince,
	}
)

// What holds for sources.
var (
	ruleResolve     = Rule{"source/resolve", "The same content has the same revision, in every process."}
	ruleRevisionID  = Rule{"source/revision-id", "The id of a revision is 1 to 128 of [0-9A-Za-z._-], and begins with neither . nor -."}
	ruleFetch       = Rule{"source/fetch", "Fetch fills the directory with the files of the revision that it names, again and again."}
	ruleChange      = Rule{"source/change", "When the content changes, so does the revision."}
	ruleHistory     = Rule{"source/history", "A former revision can be fetched."}
	ruleUnknown     = Rule{"source/unknown-revision", "Fetch of a revision that does not exist is answered with NOT_FOUND."}
	ruleBadSettings = Rule{"source/bad-settings", "Settings that are not a JSON object are refused with INVALID_ARGUMENT."}
	ruleMissing     = Rule{"source/missing", "A workspace that is not there is an error."}
	ruleFetches     = Rule{"source/parallel", "Many fetches at the same time do not disturb each other."}
	ruleOutside     = Rule{"source/writes-inside", "Fetch writes into the given directory alone, and leaves no link in it that leads out of it."}
	ruleModes       = Rule{"source/file-modes", "Everybody may read what was fetched, only its owner may write it, and what was executable still is."}

	sourceRules = []Rule{
		ruleResolve, ruleRevisionID, ruleFetch, ruleChange, ruleHistory, ruleUnknown, ruleBadSettings, ruleMissing,
		ruleFetches, ruleOutside, ruleModes,
	}
)

// What holds for log stores.
var (
	rulePut       = Rule{"logstore/put", "An object comes back as it was put, whatever its size, and Stat says its size and time."}
	ruleRange     = Rule{"logstore/range", "Get returns the bytes from offset on, at most length, and nothing at or beyond the end."}
	ruleObject    = Rule{"logstore/chunk-size", "A chunk of an object has at most 256 KiB."}
	ruleReplace   = Rule{"logstore/replace", "Put replaces the whole object."}
	ruleAtomic    = Rule{"logstore/atomic", "A reader sees one object or the other, never a mixture, whatever is put meanwhile."}
	ruleBrokenPut = Rule{"logstore/broken-put", "A Put whose stream breaks off changes nothing."}
	ruleAbsent    = Rule{"logstore/not-found", "Get and Stat of an absent key are answered with NOT_FOUND; Delete of one succeeds."}
	ruleDelete    = Rule{"logstore/delete", "An object that was deleted is absent."}

	logStoreRules = []Rule{
		rulePut, ruleRange, ruleObject, ruleReplace, ruleAtomic, ruleBrokenPut, ruleAbsent, ruleDelete,
	}
)
