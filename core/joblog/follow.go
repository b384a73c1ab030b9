package joblog

import "sort"

// Follow returns the number, in this view, of the line that had a number when the parts of the log began at the lines before: what is
// found out about an earlier part may move those behind it.
func (v *View) Follow(number int64, before []int64) int64 {
	if len(before) == 0 || len(v.Starts) < len(before) {
		return number
	}
	// The end of a part is there rather than at the start of the next one, of which nothing was read.
	part := max(sort.Search(len(before), func(i int) bool { return before[i] >= number })-1, 0)
	number += v.Starts[part] - before[part]
	if part+1 < len(v.Starts) {
		number = min(number, v.Starts[part+1])
	}
	return number
}
