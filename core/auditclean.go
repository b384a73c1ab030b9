package core

import (
	"encoding"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of an audit entry, in bytes. Parts of it come from whoever made the request.
const (
	maxAuditWord    = 100 // actions, results, keys of details, ids of requests, addresses
	maxAuditActor   = 320 // the longest e-mail address
	maxAuditText    = 1000
	maxAuditDetails = 20 // their number
)

// Clean returns the entry as it is stored: every text is valid UTF-8 of a bounded length without characters that could forge
// a line, obey a terminal or turn a text around, and details are flat. It changes nothing that the entry shares.
func (e AuditEntry) Clean() AuditEntry {
	e.Actor.Type = ActorType(cleanText(string(e.Actor.Type), maxAuditWord))
	e.Actor.Name = cleanText(e.Actor.Name, maxAuditActor)
	e.Action = cleanText(e.Action, maxAuditWord)
	e.Target = cleanText(e.Target, maxAuditText)
	e.Result = cleanText(e.Result, maxAuditWord)
	e.RemoteAddress = cleanText(e.RemoteAddress, maxAuditWord)
	e.RequestID = cleanText(e.RequestID, maxAuditWord)
	details := make(map[string]any, min(len(e.Details), maxAuditDetails))
	for _, key := range slices.Sorted(maps.Keys(e.Details))[:min(len(e.Details), maxAuditDetails)] {
		details[cleanText(key, maxAuditWord)] = cleanDetail(e.Details[key])
	}
	e.Details = details
	return e
}

// cleanText cuts a text and replaces what is not to be shown as it is.
func cleanText(text string, limit int) string {
	if len(text) > limit { // first, so that the cost does not grow with the text
		for back := 0; back < utf8.UTFMax && !utf8.RuneStart(text[limit]); back++ {
			limit--
		}
		text = text[:limit] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
}

// cleanDetail returns a text, a number, true, false or nil. A type that is made to be printed is printed as it wants, which
// hides secrets; anything else that has parts is not looked into.
func cleanDetail(value any) any {
	switch v := value.(type) {
	case nil:
		return nil
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		if err != nil {
			return cleanText("cannot be recorded: "+err.Error(), maxAuditText)
		}
		return cleanText(string(text), maxAuditText)
	case []string:
		return cleanText(strings.Join(v, ", "), maxAuditText)
	}
	v := reflect.ValueOf(value)
	switch {
	case v.Kind() == reflect.String:
		return cleanText(v.String(), maxAuditText)
	case v.Kind() == reflect.Bool, v.CanInt(), v.CanUint():
		return value
	case v.CanFloat() && !math.IsNaN(v.Float()) && !math.IsInf(v.Float(), 0):
		return value
	default:
		return fmt.Sprintf("not recorded: %T", value)
	}
}
