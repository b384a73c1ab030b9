package pluginhost

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/stroem/stroem/pluginapi"
)

// ErrPluginGone is in the tree of errors of calls to a plugin that does not run, or that ended during the call. What the
// call did is not known. The errors are [*pluginapi.Error] with CodeUnavailable, as all others of plugins are.
var ErrPluginGone = errors.New("the plugin is gone")

// ErrNotBegun is in the tree of those of these errors where no process has heard of the call: it did nothing, and may be
// made again.
var ErrNotBegun = fmt.Errorf("%w, and the call has not begun", ErrPluginGone)

// ErrRunLeft is in the tree of those of these errors that cut off a run whose type is attachable and of which the plugin has
// told its state: it may go on. The host leaves it alone; the caller attaches to it, or removes it.
var ErrRunLeft = fmt.Errorf("%w, and the run may go on", ErrPluginGone)

// ErrConflict is in the tree of the error of [Host.Start] when two plugins offer the same.
var ErrConflict = errors.New("two plugins offer the same")

// gone returns an error with ErrPluginGone.
func gone(label, format string, args ...any) error {
	return unavailable(ErrPluginGone, label, fmt.Sprintf(format, args...))
}

// away returns an error with ErrNotBegun.
func away(label, format string, args ...any) error {
	return unavailable(ErrNotBegun, label, fmt.Sprintf(format, args...))
}

// left returns an error with ErrRunLeft that reads as err.
func left(err error) error {
	return &pluginapi.Error{Code: pluginapi.CodeUnavailable, Message: err.Error(), Retryable: true, Err: ErrRunLeft}
}

func unavailable(err error, label, message string) error {
	return &pluginapi.Error{Code: pluginapi.CodeUnavailable, Message: label + ": " + message, Retryable: true, Err: err}
}

// refusal is a reason for which a plugin is not started again.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refuse(format string, args ...any) error { return &refusal{err: fmt.Errorf(format, args...)} }

// unprintable tells of what a terminal, a log or the database may take for something else than text.
func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// maxReason bounds what a broken plugin can put into an error of its start, in bytes.
const maxReason = 500

// oneLine makes an error fit for a log, and for the server: go-plugin's span lines and repeat whatever the program printed.
func oneLine(err error) string {
	text := strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return unicode.IsSpace(r) || unprintable(r) }), " ")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}
