package engine

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// clean makes a text storable: PostgreSQL takes neither NUL nor invalid UTF-8. A text that is too long loses its middle.
func clean(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if len(text) <= maxErrorMessage {
		return text
	}
	head, tail := maxErrorMessage/4, len(text)-maxErrorMessage*3/4
	for !utf8.RuneStart(text[head]) {
		head--
	}
	for !utf8.RuneStart(text[tail]) {
		tail++
	}
	return text[:head] + "\n…\n" + text[tail:]
}

// cleanJSON checks a document and replaces NUL characters in its strings, which jsonb refuses. Numbers keep their digits.
func cleanJSON(document []byte) ([]byte, error) {
	if json.Valid(document) && utf8.Valid(document) && !bytes.Contains(document, []byte(`\u0000`)) && !bytes.Contains(document, []byte(`\ud`)) &&
		!bytes.Contains(document, []byte(`\uD`)) {
		return document, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	return json.Marshal(cleanValue(value))
}

func cleanValue(value any) any {
	switch v := value.(type) {
	case string:
		return strings.ReplaceAll(strings.ToValidUTF8(v, "\uFFFD"), "\x00", "\uFFFD")
	case []any:
		for i := range v {
			v[i] = cleanValue(v[i])
		}
	case map[string]any:
		cleaned := make(map[string]any, len(v))
		for key, item := range v {
			cleaned[strings.ReplaceAll(strings.ToValidUTF8(key, "\uFFFD"), "\x00", "\uFFFD")] = cleanValue(item)
		}
		return cleaned
	}
	return value
}
