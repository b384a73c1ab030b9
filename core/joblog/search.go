package joblog

import (
	"context"
	"fmt"
)

// Hit is a line that was found.
type Hit struct {
	Number  int64 // of the line
	Line    Line
	Matches [][2]int // where in Line.Text what was looked for stands, as offsets in bytes; the first hundred
}

// Found is how far a search came.
type Found struct {
	Hits     int64
	Next     int64 // number of the line from which to go on
	Total    int64 // lines in the log
	Complete bool  // all lines were looked at
}

// Search calls hit for each line that q selects, in order, as far as the query's limits allow. Query.Tail means nothing to it.
// It calls looked now and then with the number of the line to be looked at next, at least once a block. It ends with the first
// error of either. What was found up to an error is returned with it.
func (v *View) Search(ctx context.Context, q Query, hit func(*Hit) error, looked func(next int64) error) (Found, error) {
	from := max(q.From, 1)
	found := Found{Next: from, Total: v.Index.Lines, Complete: from > v.Index.Lines}
	r, err := newLineReader(ctx, v, &q)
	if err != nil || found.Complete {
		return found, err
	}
	r.looked = looked
	var size int64
	found.Next, err = r.each(from, found.Total, func(number int64, line []byte) (verdict, error) {
		if !r.match.match(line) {
			return goOn, nil
		}
		if q.Bytes > 0 && found.Hits > 0 && size+int64(len(line)) > q.Bytes {
			return stopBefore, nil
		}
		h := Hit{Number: number, Line: ParseLine(line)}
		if r.match.text != nil {
			h.Matches = r.match.text.matches([]byte(h.Line.Text))
		}
		if err := hit(&h); err != nil {
			return stopBefore, err
		}
		found.Hits++
		size += int64(len(line))
		if found.Hits == q.Limit {
			return stopBehind, nil
		}
		return goOn, nil
	})
	found.Complete = found.Next > found.Total
	if err != nil {
		return found, fmt.Errorf("search log: %w", err)
	}
	return found, nil
}
