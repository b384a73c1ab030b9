package plugintest

import "context"

// TB is what the cases need of a test. A [testing.T] is one, and so is what [Check] runs them with.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any) // does not return
	FailNow()                          // does not return
	Failed() bool
	TempDir() string
	Cleanup(f func())
	Context() context.Context
}

// Test is a test that can have others in it: S is [*testing.T], which this package does not import because programs link it.
type Test[S any] interface {
	TB
	Run(name string, f func(t S)) bool
	Parallel()
	Skipf(format string, args ...any)
}
