// Package pluginapi is what a Strøm plugin is written against. A plugin is a program of its own that the server or a
// worker starts and talks to over gRPC. It is one of three kinds:
//
//   - a [Runner] executes the steps of a job (shell, containers, an HTTP call, …); workers use it
//   - a [Source] brings the files of a workspace (a folder, a git repository, …); the server uses it
//   - a [LogStore] keeps the logs of finished jobs; the server uses it
//
// # Writing a plugin
//
// Implement one of the three interfaces and hand it to [Serve]:
//
//	func main() { pluginapi.Serve(myrunner.New()) }
//
// Package [github.com/stroem/stroem/pluginapi/plugintest] holds the conformance suites that every plugin should pass.
//
// # The life of a plugin
//
// The host starts the process and calls Describe, then Configure once, then everything else, from many goroutines at
// the same time. CheckHealth is called every few seconds for as long as the process lives. When the host goes away,
// Serve ends the process and every process group that it started.
//
// # Errors
//
// A command that exits with 7 is a [Result], not an error. An error means that the plugin could not do what it was asked
// to; return an [*Error] to say which kind of failure it is and whether it is worth trying again. Any other error reaches
// the host as [CodeInternal].
package pluginapi
