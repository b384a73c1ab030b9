package joblog

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
	if len(value) < minSecret {
		return nil
	}
	list := []string{value, strings.ReplaceAll(value, "\n", "\r\n")}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		list = append(list, encoding.EncodeToString([]byte(value)))
		for shift := range 3 {
			list = append(list, base64Inner(encoding, value, shift))
		}
	}
	for _, escaped := range []string{url.QueryEscape(value), url.PathEscape(value), strings.ReplaceAll(url.QueryEscape(value), "+", "%20")} {
		list = append(list, escaped, lowerHex.ReplaceAllStringFunc(escaped, strings.ToLower))
	}
	quoted, err := json.Marshal(value) // with < > & escaped
	if err == nil {
		list = append(list, string(quoted[1:len(quoted)-1]))
	}
	plain := string(appendEscaped(nil, []byte(value)))
	return append(list, plain, strings.ReplaceAll(plain, "/", `\/`), asciiOnly(plain))
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
