package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/stroem/stroem/pluginapi"
)

// The policy is a list of what is allowed: policy_pod.go has the shape of a pod with a rule for each field that a manifest
// may set. A field that is not in it is refused, also one that Kubernetes gets tomorrow. What is as the runner made it is
// not judged, so that rules are about what a manifest changes, adds or removes. What is judged is the pod as it is sent.

// shape judges a value of a pod, given what the runner itself has at that place; nil is a value that is not there.
type shape interface {
	judge(p *policy, path string, base, value any)
}

// policy is one judgement.
type policy struct {
	config   *config
	lenient  bool // strings may be templates, whose values nobody knows yet
	problems []string
}

// same tells that there is nothing to judge.
func (p *policy) same(base, value any) bool {
	if text, ok := value.(string); ok && p.lenient && isTemplate(text) {
		return true
	}
	return reflect.DeepEqual(base, value)
}

func (p *policy) refuse(path, key string) {
	if key == "" {
		p.problems = append(p.problems, path+" may not be set, changed or removed")
		return
	}
	p.problems = append(p.problems, fmt.Sprintf("%s is refused; %q in allow of the configuration of runner-kube would allow it", path, key))
}

// free is anything.
type free struct{}

func (free) judge(*policy, string, any, any) {}

// needs is for values that the operator has to allow, but for those that are harmless.
type needs struct {
	key      string // "": nobody can allow it
	harmless []any
}

func only(key string, harmless ...any) needs { return needs{key, harmless} }

func (n needs) judge(p *policy, path string, base, value any) {
	if p.same(base, value) || slices.ContainsFunc(n.harmless, func(h any) bool { return reflect.DeepEqual(h, value) }) {
		return
	}
	if n.key == "" || !p.config.allows(n.key) {
		p.refuse(path, n.key)
	}
}

// object has a rule for each key that may be there.
type object map[string]shape

func (o object) judge(p *policy, path string, base, value any) {
	if p.same(base, value) {
		return
	}
	before, _ := base.(map[string]any)
	after, _ := value.(map[string]any)
	for _, key := range sortedKeys(before, after) {
		rule := o[key]
		if rule == nil {
			rule = needs{}
		}
		if !p.same(before[key], after[key]) {
			rule.judge(p, join(path, key), before[key], after[key])
		}
	}
}

// dictionary has one rule for all keys, such as labels.
type dictionary struct{ each shape }

func (d dictionary) judge(p *policy, path string, base, value any) {
	before, _ := base.(map[string]any)
	after, _ := value.(map[string]any)
	for _, key := range sortedKeys(before, after) {
		if !p.same(before[key], after[key]) {
			d.each.judge(p, path+"["+key+"]", before[key], after[key])
		}
	}
}

// list has one rule for all elements, and others for those of certain names. Elements that are gone are not judged.
type list struct {
	each  shape
	names map[string]shape
}

func (l list) judge(p *policy, path string, base, value any) {
	before, _ := base.([]any)
	after, _ := value.([]any)
	for i, element := range after {
		at, name := fmt.Sprintf("%s[%d]", path, i), nameOf(element)
		var old any
		if name == "" && i < len(before) {
			old = before[i]
		}
		if name != "" {
			at = path + "[" + name + "]"
			old = byName(before, name)
		}
		rule := l.each
		if special := l.names[name]; special != nil {
			rule = special
		}
		if !p.same(old, element) {
			rule.judge(p, at, old, element)
		}
	}
}

func byName(list []any, name string) any {
	for _, element := range list {
		if nameOf(element) == name {
			return element
		}
	}
	return nil
}

func sortedKeys(maps ...map[string]any) []string {
	var keys []string
	for _, m := range maps {
		for key := range m {
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

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
