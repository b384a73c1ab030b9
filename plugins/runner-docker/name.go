package main

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/docker/docker/api/types/filters"

	"github.com/stroem/stroem/pluginapi"
)

// Labels of all that is made for a run, by which it is found again.
const (
	labelRun       = "stroem.run"
	labelPart      = "stroem.part"
	labelJob       = "stroem.job"
	labelStep      = "stroem.step"
	labelTask      = "stroem.task"
	labelWorkspace = "stroem.workspace"
)

// What a container or a volume is for; the values of labelPart.
const (
	partStep      = "step"
	partWorkspace = "workspace"
)

var runIDText = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

// checkRunID refuses ids that are no ids: names and filters are made of them.
func checkRunID(id string) error {
	if !runIDText.MatchString(id) {
		return pluginapi.Errorf(pluginapi.CodeInvalid, "%q is not the id of a run", id)
	}
	return nil
}

// labels returns the labels for a part of a run.
func labels(runID, part string, given map[string]string) map[string]string {
	l := map[string]string{labelRun: runID, labelPart: part}
	for label, key := range map[string]string{
		labelJob: "job_id", labelStep: "step", labelTask: "task", labelWorkspace: "workspace",
	} {
		if value := given[key]; value != "" {
			l[label] = value
		}
	}
	return l
}

// ofRun selects what belongs to a run.
func ofRun(runID string) filters.Args {
	return filters.NewArgs(filters.Arg("label", labelRun+"="+runID))
}

// name is what the container, and the volume, of a run is called: stroem-<job>-<step>-<hash of the run>. The hash
// makes it unique; the rest is for people.
func name(runID string, given map[string]string) string {
	sum := sha256.Sum256([]byte(runID))
	parts := []string{"stroem"}
	for _, part := range []struct {
		text string
		most int
	}{{given["job_id"], 8}, {given["step"], 30}} {
		text := plain(part.text)
		if text = strings.Trim(text[:min(len(text), part.most)], "-"); text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(append(parts, hex.EncodeToString(sum[:6])), "-")
}

// plain makes lower-case letters, digits and dashes of a text.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '-'
		}
	}, text)
}
