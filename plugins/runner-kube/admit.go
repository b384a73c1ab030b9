package main

import (
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/stroem/stroem/pluginapi"
)

// admit judges a pod into which a manifest was merged.
func (r *runner) admit(base, pod *corev1.Pod) error {
	before, err := tree(base)
	if err != nil {
		return err
	}
	after, err := tree(pod)
	if err != nil {
		return err
	}
	if problems := r.judge(before, after, false); len(problems) > 0 {
		return pluginapi.Errorf(pluginapi.CodeDenied, "manifest overrides: %s", strings.Join(problems, "; "))
	}
	return nil
}

func (r *runner) judge(before, after map[string]any, lenient bool) []string {
	p := &policy{config: &r.config, lenient: lenient}
	// Neither of them is worth a word: a pod that was read from its own text has them.
	for _, object := range []map[string]any{before, after} {
		delete(object, "status")
	}
	podShape.judge(p, "", before, after)
	spec, _ := after["spec"].(map[string]any)
	containers, _ := spec["containers"].([]any)
	if byName(containers, stepContainer) == nil {
		p.problems = append(p.problems, "spec.containers["+stepContainer+"] may not be removed")
	}
	if first, _ := before["spec"].(map[string]any); first["initContainers"] != nil {
		inits, _ := spec["initContainers"].([]any)
		if byName(inits, initContainer) == nil {
			p.problems = append(p.problems, "spec.initContainers["+initContainer+"] may not be removed")
		}
	}
	return p.problems
}

// checkManifest says what is wrong with a manifest whose strings may still be templates.
func (r *runner) checkManifest(actionType string, manifest json.RawMessage) []string {
	if len(manifest) == 0 {
		return nil
	}
	req := &pluginapi.RunRequest{
		RunID: "run", Type: actionType, Workspace: pluginapi.Workspace{URL: "http://localhost"},
	}
	s := &spec{Cmd: ":", Image: "image"}
	base, err := r.basePod(req, s, &contents{data: map[string][]byte{keyInit: {}, keyCurl: {}, keyCmd: {}, keyStart: {}}})
	if err != nil {
		return []string{err.Error()}
	}
	if !isTemplate(string(manifest)) {
		pod, err := override(base, manifest)
		if err == nil {
			err = r.admit(base, pod)
		}
		if err != nil {
			return []string{err.Error()}
		}
		return nil
	}
	before, err := tree(base)
	if err != nil {
		return []string{err.Error()}
	}
	after, err := tree(base)
	if err != nil {
		return []string{err.Error()}
	}
	changes, err := tree(manifest)
	if err != nil {
		return []string{"the manifest has to be an object"}
	}
	merged, _ := merge(after, changes).(map[string]any)
	return r.judge(before, merged, true)
}
