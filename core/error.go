package core

import (
	"errors"
	"fmt"
)

// Code classifies an error for whoever called; the HTTP edge maps it to a status. An error without a code is internal:
// it is logged, and the caller learns only that something went wrong.
type Code string

// Kinds of errors. More specific codes (job_finished, lease_stale, …) are in [Error.Reason].
const (
	CodeInvalid         Code = "invalid"         // the caller's input is wrong
	CodeNotFound        Code = "not_found"       // what is asked for does not exist
	CodeConflict        Code = "conflict"        // the state of things forbids it
	CodeUnauthenticated Code = "unauthenticated" // no or wrong credentials
	CodeForbidden       Code = "forbidden"       // known, but not allowed
	CodeTooLarge        Code = "too_large"       // a size limit was passed
	CodeTooManyRequests Code = "too_many_requests"
	CodeUnavailable     Code = "unavailable" // try again later
	CodeInternal        Code = "internal"
)

// Error is an error that may be told to the caller.
type Error struct {
	Code    Code
	Reason  string // snake_case, for machines: "job_finished"; "" means the same as Code
	Message string // for people: what, where, how to mend it
	Err     error  // the cause, for the log
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an [Error]; reason may be empty.
func Errorf(code Code, reason, format string, args ...any) error {
	return &Error{Code: code, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// ErrorCode is the code of the first [Error] in err's chain, or CodeInternal.
func ErrorCode(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// ErrWorkerRevoked refuses workers that were revoked, and others of their names.
var ErrWorkerRevoked = Errorf(CodeForbidden, "worker_revoked",
	"This worker was revoked. It is let in again after: stroem worker revoke NAME --undo")
