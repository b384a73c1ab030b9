package main

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Labels and annotations of what is made for a run. A value that is no valid label is hashed where runs are found by it, and
// left out elsewhere; the annotation of the same name has it as it is.
const (
	labelApp       = "app"
	labelRun       = "stroem.io/run-id"
	labelJob       = "stroem.io/job-id"
	labelStep      = "stroem.io/step"
	labelTask      = "stroem.io/task"
	labelWorkspace = "stroem.io/workspace"

	appValue = "stroem-step"
)

// hash returns n hexadecimal digits for a run.
func hash(runID string, n int) string {
	sum := sha256.Sum256([]byte(runID))
	return hex.EncodeToString(sum[:])[:n]
}

// podName is unique among all runs, and tells people which step it is.
func podName(runID string, labels map[string]string) string {
	const digits = 10
	suffix := "-" + hash(runID, digits)
	job := plain(jobOf(labels))
	name := "stroem"
	for _, part := range []string{strings.TrimRight(job[:min(len(job), 8)], "-"), plain(labels["step"])} {
		if part != "" {
			name += "-" + part
		}
	}
	name = name[:min(len(name), validation.DNS1123LabelMaxLength-len(suffix))]
	return strings.TrimRight(name, "-") + suffix
}

// secretName follows from the run's id alone, so that a Secret can be removed by it, and nobody has to list Secrets.
func secretName(runID string) string { return "stroem-" + hash(runID, 32) }

// plain keeps what names of objects may hold.
func plain(text string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '-'
		}
	}, text), "-")
}

func jobOf(labels map[string]string) string {
	if id := labels["job_id"]; id != "" {
		return id
	}
	return labels["job"]
}

// runLabel is the value by which everything of a run is found.
func runLabel(runID string) string {
	if len(validation.IsValidLabelValue(runID)) > 0 {
		return hash(runID, 40)
	}
	return runID
}

// marks are the labels and annotations of a run.
func marks(runID string, from map[string]string) (labels, annotations map[string]string) {
	labels = map[string]string{labelApp: appValue, labelRun: runLabel(runID)}
	annotations = map[string]string{labelRun: runID}
	for key, value := range map[string]string{
		labelJob: jobOf(from), labelStep: from["step"], labelTask: from["task"], labelWorkspace: from["workspace"],
	} {
		switch {
		case value == "":
		case len(validation.IsValidLabelValue(value)) == 0:
			labels[key] = value
		default:
			annotations[key] = value
		}
	}
	return labels, annotations
}
