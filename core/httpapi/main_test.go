package httpapi_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/stroem/stroem/core/coretest"
)

func TestMain(m *testing.M) {
	code := coretest.Main(m)
	// fasthttp's clock for its Date header cannot be stopped, and its pools notice only every ten seconds that they are.
	err := goleak.Find(goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
	if err != nil && code == 0 {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}
