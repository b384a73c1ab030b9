package plugintest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
)

// actAsHost is the argument with which a program is started as a host that is to die.
const actAsHost = "stroem-plugintest-host"

var mayActAsHost atomic.Bool

// Init lets the suites start this very program as a host of the plugin, which they then kill, to see what becomes of the
// plugin. Call it first in TestMain, or in main. Without it the cases of a host that dies are not covered.
func Init() {
	if len(os.Args) == 2 && os.Args[1] == actAsHost {
		if err := hostMain(os.Stdin, os.Stdout); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	mayActAsHost.Store(true)
}

// noHost says what is missing for a host that dies.
func noHost() string {
	if mayActAsHost.Load() {
		return ""
	}
	return "a call of plugintest.Init at the beginning of TestMain"
}

// hostOrder tells the host what to do, hostReport what became of it.
type hostOrder struct {
	Plugin  *command
	Config  json.RawMessage `json:",omitempty"` // nil: the plugin is not configured; null would be settings
	DataDir string
	Run     []byte // a RunRequest, encoded; nil: nothing is run
}

type hostReport struct {
	PID   int // of the plugin
	State []byte
}

// hostMain is the program as a host: it starts the plugin and the run, says so, and waits to be killed. It ends when its
// input does, because then the suite is gone.
func hostMain(in io.Reader, out io.Writer) error {
	decoder := json.NewDecoder(in)
	var order hostOrder
	if err := decoder.Decode(&order); err != nil {
		return fmt.Errorf("read order: %w", err)
	}
	p, conn, err := launch(order.Plugin)
	if err != nil {
		return err
	}
	defer p.end()
	report := hostReport{PID: p.pid()}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	plugin := hostapi.NewPlugin(conn, "plugin")
	if _, err := plugin.Describe(ctx); err != nil {
		return err
	}
	if order.Config != nil {
		if err := plugin.Configure(ctx, &pluginapi.Config{Settings: order.Config, DataDir: order.DataDir}); err != nil {
			return err
		}
	}
	if order.Run != nil {
		var req pluginv1.RunRequest
		if err := proto.Unmarshal(order.Run, &req); err != nil {
			return fmt.Errorf("read order: %w", err)
		}
		stream, err := pluginv1.NewRunnerServiceClient(conn).Run(context.Background(), &req)
		if err != nil {
			return err
		}
		event, err := stream.Recv()
		if err != nil {
			return err
		}
		report.State = event.GetStarted().GetState()
	}
	if err := json.NewEncoder(out).Encode(report); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// doomed starts a host, lets it start the plugin and the run, and kills it.
func (s *pluginSuite) doomed(t TB, order *hostOrder) hostReport {
	t.Helper()
	binary := *s.binary
	binary.Tmp = runDir(t) // the host cannot remove it
	order.Plugin = &binary
	self, err := os.Executable()
	wantOK(t, "find this program", err)
	cmd := exec.CommandContext(t.Context(), self, actAsHost)
	cmd.SysProcAttr = ownGroup()
	in, err := cmd.StdinPipe()
	wantOK(t, "start a host", err)
	out, err := cmd.StdoutPipe()
	wantOK(t, "start a host", err)
	var diagnostics stderrLog
	cmd.Stderr = &diagnostics
	cmd.WaitDelay = pipeLimit
	wantOK(t, "start a host", cmd.Start())
	var report hostReport
	err = errors.Join(json.NewEncoder(in).Encode(order), json.NewDecoder(out).Decode(&report))
	killGroup(cmd.Process)
	_ = cmd.Wait() // it was killed
	if err != nil {
		t.Fatalf("the host could not start the plugin: %v %s", err, diagnostics.String())
	}
	t.Cleanup(func() {
		if alive(report.PID) {
			if p, err := os.FindProcess(report.PID); err == nil {
				killGroup(p)
			}
		}
	})
	return report
}

// goneLimit is how long a plugin may live on when its host has died.
const goneLimit = 10 * time.Second

func (s *pluginSuite) testHostGone(t TB) {
	order := &hostOrder{}
	if s.unconfigured == "" {
		order.Config, order.DataDir = orEmpty(s.config), runDir(t)
	}
	report := s.doomed(t, order)
	if !eventually(t, goneLimit, func() bool { return !alive(report.PID) }) {
		t.Errorf("the host was killed %v ago and the plugin, process %d, is still there", goneLimit, report.PID)
	}
}
