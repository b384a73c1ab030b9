package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

func invalid(format string, args ...any) error {
	return core.Errorf(core.CodeInvalid, "", format, args...)
}

// handler wraps a route's own handler in what holds for all: who may call it, and how large the body may be.
func (a *API) handler(r route) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if err := a.authorize(c, r.permission); err != nil {
			a.auditRefusal(c, r, err)
			return err
		}
		if size := len(c.Request().Body()); r.body != nil && size > r.limit {
			return core.Errorf(core.CodeTooLarge, "", "The request's body has %d bytes, at most %d are allowed here", size, r.limit)
		}
		return r.handle(c)
	}
}

// decode reads a JSON body. An empty body is an empty object. Keys that the type lacks are refused if strict.
func decode(c *fiber.Ctx, into any, strict bool) error {
	body := c.Request().Body()
	if len(body) == 0 {
		return nil
	}
	if media, _, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType)); err != nil || media != fiber.MIMEApplicationJSON {
		return &core.Error{Code: core.CodeInvalid, Reason: "unsupported_media_type", Message: "The body has to be JSON, with Content-Type: application/json"}
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if strict {
		decoder.DisallowUnknownFields()
	}
	if err := decoder.Decode(into); err != nil {
		return describeJSON(err, body, into)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return invalid("The body has more than one JSON value")
	}
	if bytes.Contains(body, []byte(`\u0000`)) && hasNUL(reflect.ValueOf(into)) {
		return invalid("The body has a NUL character (\\u0000) in a text, which cannot be stored")
	}
	return nil
}

func describeJSON(err error, body []byte, into any) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		line, column := position(body, syntax.Offset)
		return invalid("The body is not JSON: line %d, column %d: %s", line, column, syntax.Error())
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		where := "the body"
		if wrong.Field != "" {
			where = wrong.Field
		}
		return invalid("%s has to be %s, and is %s", where, jsonType(wrong.Type), wrong.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name = strings.Trim(name, `"`)
		return invalid("Unknown key %q%s", name, suggest(name, jsonKeys(reflect.TypeOf(into).Elem())))
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid("The body is not JSON: it ends too early")
	}
	return invalid("The body is not JSON: %s", err)
}

func position(body []byte, offset int64) (line, column int) {
	before := body[:min(int(offset), len(body))]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n') - 1
}

func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	default:
		return "a number"
	}
}

func jsonKeys(t reflect.Type) []string {
	var keys []string
	for field := range t.Fields() {
		key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		keys = append(keys, key)
	}
	return keys
}

func suggest(name string, known []string) string {
	for _, key := range known {
		if levenshtein.ComputeDistance(name, key) <= 2 {
			return fmt.Sprintf("; did you mean %q?", key)
		}
	}
	return ""
}

// hasNUL looks for a NUL character in any text of a decoded value.
func hasNUL(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		return strings.ContainsRune(v.String(), 0)
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && hasNUL(v.Elem())
	case reflect.Struct:
		for _, field := range v.Fields() {
			if hasNUL(field) {
				return true
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if hasNUL(key) || hasNUL(v.MapIndex(key)) {
				return true
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return false
		}
		for i := range v.Len() {
			if hasNUL(v.Index(i)) {
				return true
			}
		}
	}
	return false
}

// param is a part of the path, decoded once.
func param(c *fiber.Ctx, name string) (string, error) {
	value, err := url.PathUnescape(c.Params(name))
	if err != nil || strings.ContainsRune(value, 0) || !utf8.ValidString(value) {
		return "", invalid("The path is not well encoded at %q", c.Params(name))
	}
	return value, nil
}

func uuidParam(c *fiber.Ctx, what string) (uuid.UUID, error) {
	return parseUUID(c.Params("id"), what)
}

// parseUUID accepts the usual form alone.
func parseUUID(text, what string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != len(uuid.Nil.String()) {
		return uuid.Nil, invalid("Invalid %s ID", what)
	}
	return id, nil
}

// query reads query parameters and keeps the first thing wrong with them.
type query struct {
	c   *fiber.Ctx
	err error
}

func (q *query) number(name string, fallback, low, high int64) int64 {
	text := q.c.Query(name)
	if text == "" {
		return fallback
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < low || n > high {
		q.refuse("%s has to be a number from %d to %d, and is %q", name, low, high, text)
		return fallback
	}
	return n
}

func (q *query) seconds(name string) time.Duration {
	return time.Duration(q.number(name, 0, 0, 60)) * time.Second
}

func (q *query) time(name string) time.Time {
	text := q.c.Query(name)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		q.refuse("%s has to be a time like 2026-01-02T15:04:05Z, and is %q", name, text)
	}
	return t
}

func (q *query) text(name string) string {
	text := q.c.Query(name)
	if strings.ContainsRune(text, 0) || strings.ToValidUTF8(text, "") != text {
		q.refuse("%s is not text", name)
		return ""
	}
	return text
}

// choices reads a comma-separated list of known words.
func choices[T ~string](q *query, name string, known ...T) []T {
	text := q.c.Query(name)
	if text == "" {
		return nil
	}
	var list []T
	for word := range strings.SplitSeq(text, ",") {
		found := false
		for _, k := range known {
			found = found || string(k) == word
		}
		if !found {
			q.refuse("%s has to be one or more of %v, and is %q", name, known, text)
			return nil
		}
		list = append(list, T(word))
	}
	return list
}

func (q *query) refuse(format string, args ...any) {
	if q.err == nil {
		q.err = invalid(format, args...)
	}
}
