package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"

	"github.com/stroem/stroem/pluginapi"
)

// merge returns base with what override sets: objects key by key, lists of named objects by name, everything else in place
// of what was there. Null is a value.
func merge(base, override any) any {
	switch over := override.(type) {
	case map[string]any:
		object, ok := base.(map[string]any)
		if !ok {
			return override
		}
		for key, value := range over {
			if old, is := object[key]; is {
				value = merge(old, value)
			}
			object[key] = value
		}
		return object
	case []any:
		list, ok := base.([]any)
		if !ok || !named(list) || !named(over) {
			return override
		}
		return mergeNamed(list, over)
	default:
		return override
	}
}

// mergeNamed merges each element into the first one of its name, and appends those that have none.
func mergeNamed(base, override []any) []any {
	for _, element := range override {
		found := false
		for i := range base {
			if found = nameOf(base[i]) == nameOf(element); found {
				base[i] = merge(base[i], element)
				break
			}
		}
		if !found {
			base = append(base, element)
		}
	}
	return base
}

// named tells whether all elements have a name; an empty list has nothing to go by.
func named(list []any) bool {
	for _, element := range list {
		if nameOf(element) == "" {
			return false
		}
	}
	return len(list) > 0
}

func nameOf(element any) string {
	object, _ := element.(map[string]any)
	name, _ := object["name"].(string)
	return name
}

// tree returns an object as what JSON is decoded to.
func tree(object any) (map[string]any, error) {
	data, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var t map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return t, decoder.Decode(&t)
}

// override returns the pod with the manifest of an action merged into it. The manifest may be empty.
func override(base *corev1.Pod, manifest json.RawMessage) (*corev1.Pod, error) {
	if len(manifest) == 0 || string(manifest) == "null" {
		return base, nil
	}
	object, err := tree(base)
	if err != nil {
		return nil, fmt.Errorf("encode the pod: %w", err)
	}
	var changes map[string]any
	decoder := json.NewDecoder(bytes.NewReader(manifest))
	decoder.UseNumber()
	if err := decoder.Decode(&changes); err != nil {
		return nil, overrideError("manifest overrides: the manifest has to be an object")
	}
	delete(object, "status") // which is nobody's business before there is one
	data, err := json.Marshal(merge(object, changes))
	if err != nil {
		return nil, fmt.Errorf("encode the pod: %w", err)
	}
	pod := &corev1.Pod{}
	strict, err := kjson.UnmarshalStrict(data, pod)
	if err != nil {
		return nil, overrideError("manifest overrides: the result is no valid Pod: %v", err)
	}
	if len(strict) > 0 {
		return nil, overrideError("manifest overrides: the result is no valid Pod: %v", strict)
	}
	return pod, nil
}

func overrideError(format string, args ...any) error {
	return pluginapi.Errorf(pluginapi.CodeInvalid, format, args...)
}
