package pluginapi

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
	"github.com/stroem/stroem/pluginapi/internal/wire"
)

// toStatus turns what an author's method returned into a gRPC status.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err // from gRPC itself: a broken stream
	}
	code, detail := classify(err)
	st, detailErr := status.New(code, err.Error()).WithDetails(detail)
	if detailErr != nil {
		return status.Error(code, err.Error())
	}
	return st.Err()
}

func classify(err error) (codes.Code, *pluginv1.ErrorDetail) {
	if problems, ok := errors.AsType[Diagnostics](err); ok {
		return codes.InvalidArgument, &pluginv1.ErrorDetail{Diagnostics: diagnosticsToProto(problems)}
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return wire.StatusCode(string(e.Code)), &pluginv1.ErrorDetail{Retryable: e.Retryable}
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, ErrStopped), errors.Is(err, ErrHostGone):
		return codes.Canceled, &pluginv1.ErrorDetail{}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrTimedOut):
		return codes.DeadlineExceeded, &pluginv1.ErrorDetail{}
	default:
		return codes.Internal, &pluginv1.ErrorDetail{}
	}
}

func diagnosticsToProto(problems Diagnostics) []*pluginv1.Diagnostic {
	list := make([]*pluginv1.Diagnostic, len(problems))
	for i, p := range problems {
		severity := pluginv1.Severity_SEVERITY_ERROR
		if p.Severity == SeverityWarning {
			severity = pluginv1.Severity_SEVERITY_WARNING
		}
		list[i] = &pluginv1.Diagnostic{Severity: severity, Path: p.Path, Message: p.Message}
	}
	return list
}

func unaryStatus(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	resp, err := handler(ctx, req)
	return resp, toStatus(err)
}

func streamStatus(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return toStatus(handler(srv, stream))
}
