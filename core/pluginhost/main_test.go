package pluginhost_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain makes the test program a plugin when a host under test started it as one.
func TestMain(m *testing.M) {
	if text := os.Getenv(scriptEnv); text != "" {
		play(text)
		return
	}
	goleak.VerifyTestMain(m)
}
