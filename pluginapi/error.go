package pluginapi

import (
	"errors"
	"fmt"
)

// Code says what kind of failure an [Error] is.
type Code string

// The codes. Each travels as the gRPC status code of the same meaning.
const (
	CodeInvalid       Code = "invalid"       // the request is wrong and will stay wrong
	CodeNotFound      Code = "not_found"     // what the request names is not there
	CodeAlreadyExists Code = "exists"        // what the request creates is there already
	CodePrecondition  Code = "precondition"  // not in a state for this request, such as not configured
	CodeDenied        Code = "denied"        // not allowed
	CodeExhausted     Code = "exhausted"     // out of a resource: disk, quota, size limit
	CodeUnavailable   Code = "unavailable"   // what the plugin needs, or the plugin itself, does not answer
	CodeUnimplemented Code = "unimplemented" // the plugin does not have this call
	CodeCanceled      Code = "canceled"      // the caller gave up
	CodeTimeout       Code = "timeout"       // took too long
	CodeInternal      Code = "internal"      // anything else
)

// Error is a failure with a meaning for the host. It crosses the wire unchanged, but for the wrapped error.
type Error struct {
	Code      Code
	Message   string // for people; no secrets
	Retryable bool   // the same request may succeed later
	Err       error  // what caused it; stays on this side of the wire
}

// Errorf returns an [*Error] with a formatted message; %w wraps. CodeUnavailable is retryable, all others are not.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Retryable: code == CodeUnavailable, Err: errors.Unwrap(err)}
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first [*Error] in err's tree, "" for nil and CodeInternal for everything else.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
