package scheduler_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/stroem/stroem/core/coretest"
)

func TestMain(m *testing.M) {
	code := coretest.Main(m)
	if err := goleak.Find(); err != nil && code == 0 {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}
