// Package pluginhost runs plugins for the server and for workers: it finds the executables, checks them, starts each in a
// process of its own, configures it, watches it, and starts it again when it has died.
//
// A [Host] is made by [New]; Start launches the plugins and Close drains them. [Host.Runner], [Host.Source] and
// [Host.LogStore] hand out plugins that stay valid across restarts: each call goes to the process of the moment, and
// fails with [ErrPluginGone] when there is none or when it ends during the call.
//
// # Supervision
//
// Every plugin has a goroutine that takes it through these states:
//
//	starting     a new process; until it has said what it is
//	configuring  its description is checked, it gets its configuration, remains of lost runs are removed
//	ready        offered; its health is asked for every few seconds
//	unhealthy    up, but its own health check says that it cannot work: not offered
//	backoff      the process has ended or did not answer; waits before the next start
//	failed       will not be started again: wrong checksum, bad configuration, or too many starts
//	draining     takes no new calls; ends when those under way have
//
// A health check that is answered by an error says that the plugin cannot work: unhealthy. One that is not answered in time, or
// by nobody, is missed; several of them in a row end the process.
//
// # Who may be run
//
// A plugin's file, and the directory in which it is, belong to root or to the host's user and can be written by nobody
// else; a link leads to a file beside it. The file is checked before each start, with its checksum where one is
// configured, and looked at once more when the process is up, before it gets its configuration.
//
// An action type belongs to the plugin that described it first, for as long as the host runs: a plugin that has failed for good
// keeps its types, so that what conflicts does not depend on what dies first. Plugins that are disabled or removed in the
// configuration are not there when the program starts next, and neither are their types.
//
// # What plugins can do to a host
//
// Messages are limited to 16 MiB, chunks of output to 64 KiB, descriptions to 1,000 action types and 2 MiB, texts to 16 KiB.
// Output that nobody takes stays with the plugin. What a plugin logs loses lines when it is too much, and its
// attributes are in the group "fields", where they cannot pass for the host's. Each process has a directory for its
// socket, which goes with it.
//
// # What go-plugin does not do
//
// Package go-plugin does the handshake and mutual TLS. The process itself belongs to this package, because go-plugin
// waits for ever on a plugin that hangs: health checks have a deadline here, and a timer kills the whole process
// group. It also does not look at what plugins print to stderr, because its parser panics on unexpected JSON.
package pluginhost
