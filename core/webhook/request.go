package webhook

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/stroem/stroem/core"
)

// Request is what a caller sent.
type Request struct {
	Method  string
	Query   map[string][]string
	Headers map[string][]string // by name in lower case
	Body    []byte
}

// SecretParameter is the parameter of the query that can hold the secret.
const SecretParameter = "secret"

// confidential are the headers that do not become part of the job.
var confidential = map[string]bool{"authorization": true, "proxy-authorization": true, "cookie": true}

// Input is the input of the trigger's job: body, headers, method and query of the request, and the trigger's own input beside
// them. A body that is not text is in base64, which body_encoding then says. No credential is part of it.
func (r *Request) Input(t *core.Trigger) map[string]any {
	input := map[string]any{}
	maps.Copy(input, t.Input)
	delete(input, "body_encoding")
	body, encoding := r.body()
	if encoding != "" {
		input["body_encoding"] = encoding
	}
	input["body"], input["method"], input["headers"], input["query"] = body, r.Method, r.headers(), r.query()
	return input
}

func (r *Request) body() (body any, encoding string) {
	switch {
	case r.Method == http.MethodGet || len(r.Body) == 0:
		return nil, ""
	case !utf8.Valid(r.Body) || bytes.IndexByte(r.Body, 0) >= 0:
		return base64.StdEncoding.EncodeToString(r.Body), "base64"
	}
	if r.isJSON() {
		if value, err := decode(r.Body); err == nil {
			return value, ""
		}
	}
	return string(r.Body), ""
}

func (r *Request) isJSON() bool {
	for _, media := range r.Headers["content-type"] {
		media, _, _ = strings.Cut(strings.ToLower(media), ";")
		if strings.Contains(media, "application/json") || strings.HasSuffix(strings.TrimSpace(media), "+json") {
			return true
		}
	}
	return false
}

// decode reads one JSON value. Whole numbers stay whole.
func decode(body []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return numbers(value)
}

func numbers(value any) (any, error) {
	var err error
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		f, err := v.Float64()
		if math.IsInf(f, 0) {
			return nil, errors.New("a number is too large")
		}
		return f, err
	case []any:
		for i := range v {
			if v[i], err = numbers(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range v {
			if v[key], err = numbers(v[key]); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

func (r *Request) headers() map[string]any {
	headers := map[string]any{}
	for name, values := range r.Headers {
		if confidential[name] || len(values) == 0 {
			continue
		}
		if value := values[len(values)-1]; visible(value) {
			headers[name] = value
		}
	}
	return headers
}

// visible tells whether a text is of visible ASCII characters, blanks and tabs.
func visible(text string) bool {
	for _, c := range []byte(text) {
		if c != '\t' && (c < ' ' || c > '~') {
			return false
		}
	}
	return true
}

func (r *Request) query() map[string]any {
	query := map[string]any{}
	for name, values := range r.Query {
		if name != SecretParameter && len(values) > 0 {
			query[text(name)] = text(values[len(values)-1])
		}
	}
	return query
}

// text is what can be stored of a text that anybody can send.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
