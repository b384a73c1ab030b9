package pluginapi

import "strings"

// Severity says how bad a Diagnostic is.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Diagnostic is one problem with a configuration, a spec or settings.
type Diagnostic struct {
	Severity Severity
	Path     string // JSON Pointer to the value: "/env/PATH"; "" is the whole
	Message  string // what is wrong and how to mend it
}

// Diagnostics is a list of problems. It is an error, so that Configure can return it; use Err to get nil where there
// is nothing but warnings.
type Diagnostics []Diagnostic

// Error lists the problems, each with its path.
func (d Diagnostics) Error() string {
	lines := make([]string, len(d))
	for i, problem := range d {
		lines[i] = problem.Message
		if problem.Path != "" {
			lines[i] = problem.Path + ": " + problem.Message
		}
	}
	return strings.Join(lines, "; ")
}

// Err returns the problems that are errors, or nil if there are none.
func (d Diagnostics) Err() error {
	var errs Diagnostics
	for _, problem := range d {
		if problem.Severity != SeverityWarning {
			errs = append(errs, problem)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return errs
}
