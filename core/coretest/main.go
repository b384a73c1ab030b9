package coretest

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// MainWithoutLeaks is like [Main], and fails if goroutines are left in the end that options do not name.
func MainWithoutLeaks(m *testing.M, options ...goleak.Option) int {
	code := Main(m)
	if err := goleak.Find(options...); err != nil && code == 0 {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	return code
}

// FastHTTP is what servers leave behind: the clock for their Date header cannot be stopped, and their pools notice only every
// ten seconds that they are.
func FastHTTP() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	}
}
