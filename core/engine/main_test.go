package engine_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/stroem/stroem/core/coretest"
)

func TestMain(m *testing.M) {
	_ = flag.Set("rapid.checks", modelChecks) // the command line has the last word
	code := coretest.Main(m)
	if err := goleak.Find(); err != nil && code == 0 {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}
