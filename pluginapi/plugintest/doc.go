// Package plugintest holds the conformance suites that every plugin should pass, and the harnesses that put a plugin at the
// other end of a real connection.
//
// A plugin's test is a few lines:
//
//	func TestConformance(t *testing.T) {
//		t.Run("in process", func(t *testing.T) {
//			plugintest.TestRunner(t, plugintest.InProcess(newPlugin), plugintest.RunnerOptions{})
//		})
//		t.Run("binary", func(t *testing.T) {
//			plugintest.TestRunner(t, plugintest.Binary(path), plugintest.RunnerOptions{})
//		})
//	}
//
// The cases of a suite can be had one by one as well (see [RunnerCases]), for programs that check a plugin without the
// go tool.
package plugintest
