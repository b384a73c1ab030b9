package engine_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stroem/stroem/core/coretest"
)

func TestMain(m *testing.M) {
	_ = flag.Set("rapid.checks", modelChecks) // the command line has the last word
	os.Exit(coretest.MainWithoutLeaks(m))
}
