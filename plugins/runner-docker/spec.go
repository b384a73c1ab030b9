package main

import (
	"bytes"
	"encoding/json"
	"path"
	"strings"

	"github.com/distribution/reference"

	"github.com/stroem/stroem/pluginapi"
)

// spec is an action of either type. Nothing in it asks for rights: those are the operator's, in the plugin's config.
type spec struct {
	Cmd        string     `json:"cmd"`
	Script     string     `json:"script"` // shell
	Image      string     `json:"image"`
	Command    []string   `json:"command"`    // docker
	Entrypoint []string   `json:"entrypoint"` // docker
	Workdir    string     `json:"workdir"`
	Resources  *resources `json:"resources"`
}

const (
	typeShell    = "shell"
	typeDocker   = "docker"
	defaultImage = "alpine:latest"
)

// parseSpec reads a spec of the type, and checks what can be told without the workspace.
func parseSpec(actionType string, data json.RawMessage) (*spec, error) {
	s := &spec{}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(s); err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "read spec: %w", err)
	}
	if problems := s.check(actionType).Err(); problems != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "%w", problems)
	}
	return s, nil
}

// check looks for what no container can be made of, and warns of what has no effect. Templates are passed over: what becomes
// of them is not known yet.
func (s *spec) check(actionType string) (problems pluginapi.Diagnostics) {
	report := func(severity pluginapi.Severity, at, message string) {
		problems = append(problems, pluginapi.Diagnostic{Severity: severity, Path: at, Message: message})
	}
	fail := func(at, message string) { report(pluginapi.SeverityError, at, message) }
	warn := func(at, message string) { report(pluginapi.SeverityWarning, at, message) }
	if actionType == typeShell {
		switch {
		case s.Cmd == "" && s.Script == "":
			fail("", "neither cmd nor script is set")
		case s.Cmd != "" && s.Script != "":
			warn("/script", "script has no effect beside cmd")
		}
		if len(s.Command) > 0 {
			warn("/command", "command has no effect on a shell action; use cmd, or type docker")
		}
		if len(s.Entrypoint) > 0 {
			warn("/entrypoint", "entrypoint has no effect on a shell action; use type docker")
		}
		if s.Workdir != "" && !isTemplate(s.Workdir) && !inside(s.Workdir) {
			fail("/workdir", "workdir has to be a path inside the workspace")
		}
	} else {
		if s.Image == "" {
			fail("/image", "image is missing")
		}
		if s.Cmd != "" && len(s.Command) > 0 {
			warn("/cmd", "cmd has no effect beside command")
		}
		if s.Workdir != "" && !isTemplate(s.Workdir) && !path.IsAbs(s.Workdir) {
			fail("/workdir", "workdir has to be an absolute path in the container")
		}
	}
	if s.Image != "" && !isTemplate(s.Image) {
		if _, err := reference.ParseNormalizedNamed(s.Image); err != nil {
			fail("/image", "image is no reference of an image, such as alpine:3.20: "+err.Error())
		}
	}
	if r := s.Resources; r != nil && !isTemplate(r.CPU) && !isTemplate(r.Memory) {
		if _, err := r.limits(); err != nil {
			fail("/resources", err.Error())
		}
	}
	return problems
}

func isTemplate(text string) bool {
	return strings.Contains(text, "{{") || strings.Contains(text, "{%")
}

// inside tells whether a relative path stays below where it begins.
func inside(name string) bool {
	clean := path.Clean(name)
	return !path.IsAbs(clean) && clean != ".." && !strings.HasPrefix(clean, "../")
}

// image returns what to run the step in.
func (s *spec) image(actionType string, cfg *config) (reference.Named, error) {
	name := s.Image
	if actionType == typeShell {
		switch {
		case cfg.RunnerImage != "":
			name = cfg.RunnerImage
		case name == "":
			name = defaultImage
		}
	}
	image, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "%q is no reference of an image, such as alpine:3.20: %w", name, err)
	}
	return reference.TagNameOnly(image), nil
}

// launched tells whether a shell runs the launcher, whatever the image's entrypoint is.
func (s *spec) launched(actionType string) bool {
	return actionType == typeShell || len(s.Entrypoint)+len(s.Command) == 0 && s.Cmd != ""
}

// command returns the entrypoint and the arguments for the container; where both are nil the image's own are used.
func (s *spec) command(actionType string) (entrypoint, args []string) {
	switch {
	case s.launched(actionType):
		return []string{"sh", ownDir + "/start"}, nil
	case len(s.Command) > 0:
		return s.Entrypoint, s.Command
	case s.Cmd != "":
		return s.Entrypoint, []string{s.Cmd}
	default:
		return s.Entrypoint, nil
	}
}
