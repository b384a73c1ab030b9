package joblog

import (
	"slices"
	"sort"
)

// Follow returns the number, in this view, of the line that had a number when the parts of the log began at the starts before, and
// whether it is also at the same offset: what is found out about an earlier part may move those behind it.
func (v *View) Follow(number int64, before []Start) (now int64, same bool) {
	if len(before) == 0 {
		return number, true
	}
	// The end of a part is there rather than at the start of the next one, of which nothing was read.
	part := max(sort.Search(len(before), func(i int) bool { return before[i].Line >= number })-1, 0)
	if part >= len(v.Starts) {
		return number, false
	}
	same = slices.Equal(before[:part+1], v.Starts[:part+1])
	number += v.Starts[part].Line - before[part].Line
	if part+1 < len(v.Starts) && number > v.Starts[part+1].Line {
		number, same = v.Starts[part+1].Line, false
	}
	return number, same
}
