package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

var binaryDir string

func TestMain(m *testing.M) {
	plugintest.Init()
	// Most of the time tests wait for the cluster: more of them run than there are processors, unless -parallel says otherwise.
	const least = 4
	if err := flag.Set("test.parallel", strconv.Itoa(max(least, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	var err error
	if binaryDir, err = os.MkdirTemp("", "runner-kube-test"); err != nil {
		panic(err)
	}
	options := []goleak.Option{goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(binaryDir)
		os.Exit(code)
	})}
	// client-go keeps connections, and looks after certificates, for as long as the process lives.
	for _, name := range []string{
		"internal/poll.runtime_pollWait", "net/http.(*persistConn).writeLoop", "golang.org/x/net/http2.(*clientConnReadLoop).run",
		"k8s.io/client-go/transport.(*dynamicClientCert).run", "k8s.io/client-go/transport.(*dynamicClientCert).processNextWorkItem",
		"k8s.io/client-go/util/workqueue.(*delayingType[...]).waitingLoop",
		"k8s.io/apimachinery/pkg/util/wait.PollImmediateUntilWithContext",
		"k8s.io/apimachinery/pkg/util/wait.PollImmediateUntilWithContext.poller.func1.1",
	} {
		options = append(options, goleak.IgnoreAnyFunction(name))
	}
	goleak.VerifyTestMain(m, options...)
}

// buildBinary compiles the plugin once.
var buildBinary = sync.OnceValues(func() (string, error) {
	return plugintest.Build(context.Background(), binaryDir, ".")
})

func binary(t testing.TB) string {
	t.Helper()
	path, err := buildBinary()
	require.NoError(t, err)
	return path
}

func TestConformance(t *testing.T) {
	t.Parallel()
	namespace, _ := testNamespace(t)
	opts := plugintest.RunnerOptions{
		Config:    settings(t, namespace, map[string]any{"image_pull_policy": "IfNotPresent"}),
		BadConfig: json.RawMessage(`{"namespaze": "x"}`),
		Examples:  map[string]pluginapi.Examples{typePod: examples(busybox)},
		Workspace: func(t plugintest.TB) pluginapi.Workspace {
			return serveFiles(t, map[string]string{"file": "content"}).workspace()
		},
		Parallel:  6, // of each suite; a node has room for so many pods
		StopGrace: 5 * time.Second,
	}
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		plugintest.TestRunner(t, plugintest.InProcess(func() *runner { return newRunner(pluginapi.NewLogger()) }), opts)
	})
	t.Run("binary", func(t *testing.T) {
		t.Parallel()
		plugintest.TestRunner(t, plugintest.Binary(binary(t)), opts)
	})
}
