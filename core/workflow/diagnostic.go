package workflow

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity tells whether a workspace can be used in spite of a [Diagnostic].
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Diagnostic is something wrong, or doubtful, in a workflow file.
type Diagnostic struct {
	File     string // path in the workspace; "" where the problem is with the workspace as a whole
	Line     int    // from 1; 0 where there is no file to point into
	Column   int    // from 1, in characters
	Severity Severity
	Message  string // what is wrong and how to mend it
}

// String is the form that compilers use: file:line:column: severity: message.
func (d Diagnostic) String() string {
	where := d.File
	if d.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", d.File, d.Line, d.Column)
	}
	if where != "" {
		where += ": "
	}
	return where + string(d.Severity) + ": " + d.Message
}

// Diagnostics is a list of problems in the order of files and lines.
type Diagnostics []Diagnostic

// Errors are the problems for which the workspace cannot be used.
func (d Diagnostics) Errors() Diagnostics { return d.of(SeverityError) }

// Warnings are the problems that are not errors.
func (d Diagnostics) Warnings() Diagnostics { return d.of(SeverityWarning) }

func (d Diagnostics) of(severity Severity) Diagnostics {
	return slices.DeleteFunc(slices.Clone(d), func(one Diagnostic) bool { return one.Severity != severity })
}

// Err returns the errors as a *[Error], or nil if there are none.
func (d Diagnostics) Err() error {
	if errs := d.Errors(); len(errs) > 0 {
		return &Error{Diagnostics: errs}
	}
	return nil
}

// Error is a workspace that cannot be used.
type Error struct{ Diagnostics Diagnostics }

// Error lists the problems, one a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Diagnostics))
	for i, d := range e.Diagnostics {
		lines[i] = d.String()
	}
	return strings.Join(lines, "\n")
}

// maxDiagnostics bounds what one load reports.
const maxDiagnostics = 1_000

// sorted puts problems in the order of files and lines, each once, errors first where they share a place.
func (d Diagnostics) sorted() Diagnostics {
	slices.SortStableFunc(d, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Message, b.Message))
	})
	d = slices.Compact(d)
	if len(d) <= maxDiagnostics {
		return d
	}
	more := fmt.Sprintf("%d more problems are not shown", len(d)-maxDiagnostics)
	severity := SeverityWarning
	if len(d[maxDiagnostics:].Errors()) > 0 {
		severity = SeverityError
	}
	return append(d[:maxDiagnostics:maxDiagnostics], Diagnostic{Severity: severity, Message: more})
}
