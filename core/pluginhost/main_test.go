package pluginhost_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if file := filepath.Base(os.Args[0]); strings.HasPrefix(file, "runner-") {
		actAsPlugin(file)
		return
	}
	goleak.VerifyTestMain(m)
}
