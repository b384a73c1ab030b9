package joblog

import (
	"fmt"
	"strconv"
	"strings"
)

// serverHeader is how the server's own lines start.
var serverHeader = string(appendHeader(nil, ServerStep, 1))

const gapText = "[logs] Lost lines "

// gapLine is what the server writes where lines of an attempt are missing: from next to before b.first. Read again, it
// tells the number of the line that follows.
func gapLine(b batch, next int64) []byte {
	return eventLine(fmt.Sprintf("%s%d to %d of attempt %d of step %q", gapText, next, b.first-1, b.attempt, b.step))
}

// parseGap is the reverse of gapLine.
func parseGap(text string) (header string, next int64, ok bool) {
	rest, ok := strings.CutPrefix(text, gapText)
	if !ok {
		return "", 0, false
	}
	var from, to int64
	var attempt int
	var step string
	if n, err := fmt.Sscanf(rest, "%d to %d of attempt %d of step %q", &from, &to, &attempt, &step); err != nil || n != 4 || attempt < 1 {
		return "", 0, false
	}
	if rest != fmt.Sprintf("%d to %d of attempt %d of step %s", from, to, attempt, strconv.Quote(step)) {
		return "", 0, false
	}
	return string(appendHeader(nil, step, attempt)), to + 1, true
}
