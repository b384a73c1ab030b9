package pluginhost_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
)

// hostEnv holds the plugin directory of a test program that is a host, to be killed.
const hostEnv = "STROEM_TEST_HOST"

// markEnv is in the environment of plugins that are to be found among all processes, and of everything that they start.
const markEnv = "STROEM_TEST_MARK"

// TestMain makes the test program a plugin when a host under test started it as one, or a host.
func TestMain(m *testing.M) {
	if text := os.Getenv(scriptEnv); text != "" {
		play(text)
		return
	}
	if text := os.Getenv(hostEnv); text != "" {
		runHost(text)
		return
	}
	goleak.VerifyTestMain(m)
}

// runHost is a host with the plugin runner-test, which says when that is ready and then waits to be killed.
func runHost(dir string) {
	host, err := pluginhost.New(pluginhost.Config{
		Dir: dir, Kinds: []pluginapi.Kind{pluginapi.KindRunner}, Plugins: map[string]pluginhost.PluginConfig{
			"runner-test": {Env: map[string]string{markEnv: os.Getenv(markEnv), scriptEnv: os.Getenv("SCRIPT")}},
		},
	})
	if err == nil {
		err = host.Start(context.Background())
	}
	if err != nil {
		panic(err)
	}
	fmt.Println(host.Plugins()[0].State)
	_, _ = io.Copy(io.Discard, os.Stdin)
}
