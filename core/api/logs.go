package api

// LogFound is a line of the answer to a search in a log: a hit if Line is not 0, else how far the search has come, which is its
// end if Done.
type LogFound struct {
	Line    int64    `json:"line,omitempty"` // number
	Step    string   `json:"step,omitempty"`
	Attempt int      `json:"attempt,omitempty"` // above 1 alone
	Stream  string   `json:"stream,omitempty"`
	TS      string   `json:"ts,omitempty"`
	Text    *string  `json:"text,omitempty"`    // of a hit, as it was printed
	Matches [][2]int `json:"matches,omitempty"` // where in the text, as offsets in its UTF-8 bytes; the first hundred

	Done     bool   `json:"done,omitempty"`
	Next     int64  `json:"next,omitempty"`     // number of the line from which to go on
	Total    int64  `json:"total,omitempty"`    // lines in the log
	Complete *bool  `json:"complete,omitempty"` // at the end: all lines were looked at
	Error    string `json:"error,omitempty"`    // at the end: why it is one
}
