package joblog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/joblog"
)

func TestFollow(t *testing.T) {
	t.Parallel()
	at := func(lines ...int64) (starts []joblog.Start) {
		for _, line := range lines {
			starts = append(starts, joblog.Start{Line: line, Offset: 10 * (line - 1), Version: 7})
		}
		return starts
	}
	changed, longer := at(1, 11), at(1, 11)
	changed[1].Version++
	longer[1].Offset++
	for name, c := range map[string]struct {
		before, now  []joblog.Start
		number, want int64
		same         bool
	}{
		"the first time":                              {nil, at(1, 11), 15, 15, true},
		"nothing has moved":                           {at(1, 11), at(1, 11), 15, 15, true},
		"the part before has more lines":              {at(1, 11), at(1, 14), 15, 18, false},
		"the part before has fewer lines":             {at(1, 11), at(1, 9), 15, 13, false},
		"the part before has longer lines":            {at(1, 11), longer, 15, 15, false},
		"the part was written anew":                   {at(1, 11), changed, 15, 15, false},
		"a later part was written anew":               {at(1, 11), changed, 5, 5, true},
		"nothing of the second part was read":         {at(1, 11), at(1, 14), 11, 11, true},
		"another part has come":                       {at(1), at(1, 11), 11, 11, true},
		"another part has come, before what was read": {at(1), at(1, 9), 11, 9, false},
		"at the beginning":                            {at(1, 2), at(1, 5), 1, 1, true},
		"the log is elsewhere as a whole":             {at(1, 11), nil, 15, 15, false},
		"two parts are one":                           {at(1, 11), at(1), 15, 15, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := joblog.View{Starts: c.now}
			number, same := v.Follow(c.number, c.before)
			require.Equal(t, c.want, number)
			require.Equal(t, c.same, same)
		})
	}
}
