package logkeep_test

import (
	"os"
	"testing"

	"github.com/stroem/stroem/core/coretest"
)

func TestMain(m *testing.M) { os.Exit(coretest.MainWithoutLeaks(m)) }
