package joblog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/joblog"
)

func TestFollow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, now  []int64
		number, want int64
	}{
		"the first time":                              {nil, []int64{1, 11}, 15, 15},
		"nothing has moved":                           {[]int64{1, 11}, []int64{1, 11}, 15, 15},
		"the part before has more lines":              {[]int64{1, 11}, []int64{1, 14}, 15, 18},
		"the part before has fewer lines":             {[]int64{1, 11}, []int64{1, 9}, 15, 13},
		"nothing of the second part was read":         {[]int64{1, 11}, []int64{1, 14}, 11, 11},
		"another part has come":                       {[]int64{1}, []int64{1, 11}, 11, 11},
		"another part has come, before what was read": {[]int64{1}, []int64{1, 9}, 11, 9},
		"at the beginning":                            {[]int64{1, 2}, []int64{1, 5}, 1, 1},
		"the log is elsewhere as a whole":             {[]int64{1, 11}, nil, 15, 15},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := joblog.View{Starts: c.now}
			require.Equal(t, c.want, v.Follow(c.number, c.before))
		})
	}
}
