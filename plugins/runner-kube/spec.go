package main

import (
	"encoding/json"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stroem/stroem/pluginapi"
)

// The action types.
const (
	typeShell = "shell"
	typePod   = "pod"
)

// spec is an action of either type.
type spec struct {
	Cmd        string          `json:"cmd"`
	Script     string          `json:"script"`
	Image      string          `json:"image"`
	Workdir    string          `json:"workdir"`
	Command    []string        `json:"command"`
	Entrypoint []string        `json:"entrypoint"`
	Resources  resources       `json:"resources"`
	Manifest   json.RawMessage `json:"manifest"`
}

type resources struct {
	CPU    string `json:"cpu"`
	Memory string `json:"memory"`
}

// parseSpec reads a spec that was rendered.
func parseSpec(actionType string, data json.RawMessage) (*spec, error) {
	var s *spec
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "read spec: it has to be a JSON object of the type's schema")
	}
	switch {
	case s == nil:
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "read spec: it is null")
	case actionType == typeShell && s.Cmd == "" && s.Script == "":
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "neither cmd nor script is set")
	case actionType == typePod && s.Image == "":
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "image is not set")
	}
	if actionType == typeShell {
		for key, name := range map[string]string{"workdir": s.Workdir, "script": s.Script} {
			if !inside(name) {
				return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "%s %q has to be a path inside the workspace", key, name)
			}
		}
	}
	return s, nil
}

// inside tells whether a path stays in the workspace, as far as its text says.
func inside(name string) bool {
	clean := path.Clean(name)
	return !path.IsAbs(clean) && clean != ".." && !strings.HasPrefix(clean, "../")
}

// requirements are requests and limits alike, so that a pod gets what it may use.
func (r resources) requirements() (corev1.ResourceRequirements, error) {
	list := corev1.ResourceList{}
	for name, value := range map[corev1.ResourceName]string{corev1.ResourceCPU: r.CPU, corev1.ResourceMemory: r.Memory} {
		if value == "" {
			continue
		}
		quantity, err := resource.ParseQuantity(value)
		if err != nil || quantity.Sign() <= 0 {
			return corev1.ResourceRequirements{}, pluginapi.Errorf(pluginapi.CodeInvalid,
				"resources: %s %q is no quantity; examples are 500m for cpu and 512Mi for memory", name, value)
		}
		list[name] = quantity
	}
	if len(list) == 0 {
		return corev1.ResourceRequirements{}, nil
	}
	return corev1.ResourceRequirements{Requests: list, Limits: list}, nil
}

// validate finds what the schema cannot express. Strings may still be templates.
func (r *runner) validate(req *pluginapi.ValidateRequest) (pluginapi.Diagnostics, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(req.Spec, &keys); err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "read spec: it has to be a JSON object")
	}
	var problems pluginapi.Diagnostics
	add := func(severity pluginapi.Severity, key, message string) {
		problems = append(problems, pluginapi.Diagnostic{Severity: severity, Path: "/" + key, Message: message})
	}
	has := func(key string) bool { return keys[key] != nil }
	switch {
	case req.Type == typeShell && has("command"):
		add(pluginapi.SeverityWarning, "command", "command has no effect on shell actions")
	case has("command") && has("cmd"):
		add(pluginapi.SeverityWarning, "cmd", "cmd has no effect beside command")
	}
	if req.Type == typeShell {
		for _, key := range []string{"workdir", "script"} {
			var name string
			if json.Unmarshal(keys[key], &name) == nil && !isTemplate(name) && !inside(name) {
				add(pluginapi.SeverityError, key, key+" has to be a path inside the workspace")
			}
		}
		if r.config.RunnerImage != "" && has("image") {
			add(pluginapi.SeverityWarning, "image", "image has no effect: the worker's configuration sets one for all shell actions")
		}
	}
	for _, problem := range r.checkManifest(req.Type, keys["manifest"]) {
		add(pluginapi.SeverityError, "manifest", problem)
	}
	return problems, nil
}

func isTemplate(text string) bool {
	return strings.Contains(text, "{{") || strings.Contains(text, "{%")
}
