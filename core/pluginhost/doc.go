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
// # What go-plugin does not do
//
// Package go-plugin does the handshake and mutual TLS. The process itself belongs to this package, because go-plugin
// waits for ever on a plugin that hangs: health checks have a deadline here, and a timer kills the whole process
// group. It also does not look at what plugins print to stderr, because its parser panics on unexpected JSON.
package pluginhost
