package joblog

import (
	"bytes"

	"github.com/stroem/stroem/core/mask"
)

// maskLines masks the text of lines in storage format. Workers have done so before; this is for what they missed, and
// for whoever sends lines without being ours. Lines in which there is nothing are not copied.
func maskLines(secrets *mask.Masker, ndjson []byte) []byte {
	var masked, text []byte
	done, start := 0, 0
	for line := range bytes.Lines(ndjson) {
		end := start + len(line) - len(lineEnd)
		start += len(line)
		r, ok := parse(bytes.TrimSuffix(line, []byte("\n")))
		if !ok {
			continue // verified before
		}
		plain := r.line
		if bytes.IndexByte(plain, '\\') >= 0 { // a secret is known as it is, not as it stands in JSON
			text = appendUnescaped(text[:0], plain)
			plain = text
		}
		if !secrets.Found(plain) {
			continue
		}
		masked = append(masked, ndjson[done:end-len(r.line)]...)
		masked = appendEscaped(masked, secrets.Append(nil, plain))
		done = end
	}
	if done == 0 {
		return ndjson
	}
	return append(masked, ndjson[done:]...)
}
