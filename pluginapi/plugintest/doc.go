// Package plugintest holds the conformance suites that every plugin should pass, and the harnesses that put a plugin at the
// other end of a real connection.
//
// A plugin's test is a few lines:
//
//	func TestMain(m *testing.M) {
//		plugintest.Init()
//		os.Exit(m.Run())
//	}
//
//	func TestConformance(t *testing.T) {
//		path, err := plugintest.Build(t.Context(), t.TempDir(), ".")
//		if err != nil {
//			t.Fatal(err)
//		}
//		plugintest.TestRunner(t, plugintest.Binary(path), plugintest.RunnerOptions{})
//	}
//
// [InProcess] in place of [Binary] is quicker and lets the race detector see the plugin; what needs a process of its own is
// no part of the suite then.
//
// Every case looks at one of the [Rules], and its failures name that, or another rule that was found broken on the way. A
// case that lacks an example or settings says what to add: in a test it is skipped with that.
//
// The cases of a suite can be had one by one as well (see [RunnerCases]), and [Check] runs them without the go tool, as
// `stroem plugin check` does. Nothing here imports the testing package.
package plugintest
