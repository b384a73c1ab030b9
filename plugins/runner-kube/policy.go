package main

import (
	"fmt"
	"reflect"
	"slices"
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
