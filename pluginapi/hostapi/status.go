package hostapi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
	"github.com/stroem/stroem/pluginapi/internal/wire"
)

// ErrNoAnswer is in the tree of errors that came from the connection instead of the plugin: it has ended, or does not listen.
var ErrNoAnswer = errors.New("no answer from the plugin")

// How much a plugin may say to people at once, in bytes and in number. It goes on into logs, reports and the results of jobs;
// what is more is cut off.
const (
	maxText        = 16 << 10
	maxDiagnostic  = 1 << 10
	maxDiagnostics = 100
)

func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// label is put before every error of a plugin: "runner(docker)".
type label string

// fail returns err as a *pluginapi.Error that says which plugin it comes from.
func (l label) fail(err error) error {
	if err == nil {
		return nil
	}
	st := status.Convert(err)
	e := &pluginapi.Error{
		Code:      pluginapi.Code(wire.CodeName(st.Code())),
		Message:   string(l) + ": " + clip(st.Message(), maxText),
		Retryable: st.Code() == codes.Unavailable,
	}
	switch st.Code() {
	case codes.Canceled:
		e.Err = context.Canceled
	case codes.DeadlineExceeded:
		e.Err = context.DeadlineExceeded
	}
	for _, d := range st.Details() {
		if detail, ok := d.(*pluginv1.ErrorDetail); ok {
			e.Retryable = detail.GetRetryable()
			if problems := diagnostics(detail.GetDiagnostics()); len(problems) > 0 {
				e.Err = problems
			}
			return e
		}
	}
	if st.Code() == codes.Unavailable {
		e.Err = ErrNoAnswer
		e.Message = string(l) + ": no answer from the plugin: " + clip(st.Message(), maxText)
	}
	return e
}

// broken reports a plugin that does not keep to the protocol.
func (l label) broken(format string, args ...any) error {
	return pluginapi.Errorf(pluginapi.CodeInternal, string(l)+": "+format, args...)
}

func diagnostics(list []*pluginv1.Diagnostic) pluginapi.Diagnostics {
	var problems pluginapi.Diagnostics
	for _, d := range list[:min(len(list), maxDiagnostics)] {
		severity := pluginapi.SeverityError
		if d.GetSeverity() == pluginv1.Severity_SEVERITY_WARNING {
			severity = pluginapi.SeverityWarning
		}
		problems = append(problems, pluginapi.Diagnostic{Severity: severity, Path: clip(d.GetPath(), maxDiagnostic), Message: clip(d.GetMessage(), maxDiagnostic)})
	}
	if more := len(list) - maxDiagnostics; more > 0 {
		problems = append(problems, pluginapi.Diagnostic{Severity: pluginapi.SeverityError, Message: fmt.Sprintf("and %d more", more)})
	}
	return problems
}
