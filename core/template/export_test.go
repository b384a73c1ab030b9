package template

import "errors"

// IsPanic tells whether an error hides a panic, which is always a defect.
func IsPanic(err error) bool {
	_, ok := errors.AsType[*panicError](err)
	return ok
}
