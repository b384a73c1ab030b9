package pluginhost_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain makes the test program a plugin when a host under test started it as one.
func TestMain(m *testing.M) {
	if text := os.Getenv(scriptEnv); text != "" {
		play(text)
		return
	}
	if file := filepath.Base(os.Args[0]); strings.HasPrefix(file, "runner-") {
		actAsPlugin(file)
		return
	}
	goleak.VerifyTestMain(m)
}
