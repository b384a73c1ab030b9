package mask

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// forms lists the ways in which programs print a secret: as it is, in base64 (also as a part of a longer text), in a
// URL, in JSON. Blanks around it are left out, because shells drop them.
func forms(value string) []string {
	value = strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(value, "\uFFFD"), "\x00", ""))
	if len(value) < MinLength {
		return nil
	}
	list := []string{value, strings.ReplaceAll(value, "\n", "\r\n")}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		list = append(list, encoding.EncodeToString([]byte(value)))
		for shift := range 3 {
			list = append(list, base64Inner(encoding, value, shift))
		}
	}
	query := url.QueryEscape(value)
	for _, inURL := range []string{query, url.PathEscape(value), strings.ReplaceAll(query, "+", "%20")} {
		list = append(list, inURL, lowerHex.ReplaceAllStringFunc(inURL, strings.ToLower))
	}
	quoted, err := json.Marshal(value) // with < > & escaped
	if err == nil {
		list = append(list, string(quoted[1:len(quoted)-1]))
	}
	plain := escaped(value)
	list = append(list, longLines(value)...)
	if len(value) >= minCased {
		for _, cased := range []string{strings.ToUpper(value), strings.ToLower(value)} {
			list = append(list, cased, escaped(cased))
		}
	}
	return append(list, plain, strings.ReplaceAll(plain, "/", `\/`), asciiOnly(plain))
}

// minCased is the length in bytes from which a value is masked in upper and in lower case, too, as templates' filters make
// them: shorter ones may be words.
const minCased = 8

// minLine is the length in bytes from which a line of a value that has several is a secret of its own: keys are printed
// line by line, but their shorter lines look like any text.
const minLine = 16

// longLines are the lines of a value that are masked wherever they stand alone.
func longLines(value string) []string {
	if !strings.Contains(value, "\n") {
		return nil
	}
	var lines []string
	for line := range strings.Lines(value) {
		if line = strings.TrimSpace(line); len(line) >= minLine {
			lines = append(lines, line, escaped(line))
		}
	}
	return lines
}

// escaped is a text as it stands in a JSON string, with < > & as they are.
func escaped(text string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(text) != nil { // a string can always be encoded
		return text
	}
	quoted := strings.TrimSuffix(b.String(), "\n")
	return quoted[1 : len(quoted)-1]
}

var lowerHex = regexp.MustCompile(`%[0-9A-F]{2}`)

// base64Inner encodes value as it appears inside of a longer text, shift bytes behind a group of three: only the digits
// that depend on nothing but value.
func base64Inner(encoding *base64.Encoding, value string, shift int) string {
	text := encoding.WithPadding(base64.NoPadding).EncodeToString([]byte(strings.Repeat("x", shift) + value))
	return text[(shift*8+5)/6 : (shift+len(value))*8/6]
}

// asciiOnly writes everything else in escaped JSON text as \u, as some encoders do.
func asciiOnly(escaped string) string {
	var b strings.Builder
	for _, r := range escaped {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r <= 0xFFFF:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		}
	}
	return b.String()
}
