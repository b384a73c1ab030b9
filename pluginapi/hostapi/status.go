package hostapi

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
	"github.com/stroem/stroem/pluginapi/internal/wire"
)

// ErrNoAnswer is in the tree of errors that came from the connection instead of the plugin: it has ended, or does not listen.
var ErrNoAnswer = errors.New("no answer from the plugin")

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
		Message:   string(l) + ": " + st.Message(),
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
		e.Message = string(l) + ": no answer from the plugin: " + st.Message()
	}
	return e
}

// broken reports a plugin that does not keep to the protocol.
func (l label) broken(format string, args ...any) error {
	return pluginapi.Errorf(pluginapi.CodeInternal, string(l)+": "+format, args...)
}

func diagnostics(list []*pluginv1.Diagnostic) pluginapi.Diagnostics {
	var problems pluginapi.Diagnostics
	for _, d := range list {
		severity := pluginapi.SeverityError
		if d.GetSeverity() == pluginv1.Severity_SEVERITY_WARNING {
			severity = pluginapi.SeverityWarning
		}
		problems = append(problems, pluginapi.Diagnostic{Severity: severity, Path: d.GetPath(), Message: d.GetMessage()})
	}
	return problems
}
