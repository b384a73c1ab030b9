package e2e

import (
	"maps"
	"strings"
	"testing"
)

// The golden scenarios end in containers and in pods as they do on the worker's own machine.

func TestDockerScenarios(t *testing.T) {
	t.Parallel()
	dockerEngine(t).scenarios()
}

func TestKubeScenarios(t *testing.T) {
	t.Parallel()
	kubeEngine(t).scenarios("Stderr: ", "") // a cluster does not tell stdout from stderr
}

func (e *engine) scenarios(changes ...string) {
	// A container takes a while to start: what is to time out after a second would never have run.
	workspaces := scenarioWorkspaces(e.t, strings.NewReplacer("timeout: 1s", "timeout: 8s").Replace)
	s := e.system(workspaces)
	e.startWorker(s, "one", 4)
	e.startWorker(s, "two", 4)
	changes = append(changes, "after 1s", "after 8s")
	runScenarios(s, workspaces, func(name string) []expectation {
		all := expectations(e.t, name, strings.NewReplacer(changes...).Replace)
		for i := range all {
			all[i].Within = 0
		}
		return all
	})
	e.nothingLeft(s)
}

// startWorker starts a worker whose steps run on the engine.
func (e *engine) startWorker(s *system, name string, slots int) *process {
	extra := settings{"max_concurrent": slots, "stop_grace_secs": 2}
	maps.Copy(extra, e.worker)
	return s.startWorker(name, extra)
}
