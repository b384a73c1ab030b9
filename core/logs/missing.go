package logs

import (
	"fmt"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
)

// missing stands for a segment that cannot be read: each of its lines says so, so that the lines behind it keep their numbers.
func missing(segment core.LogSegment, lines int64) *joblog.View {
	line := joblog.AppendLine(nil, joblog.ServerStep, 1, joblog.Stderr, "",
		fmt.Sprintf("[logs] A line that is missing here is kept by replica %s, which is gone", segment.Replica))
	return joblog.Repeat(joblog.ServerStep, line, lines)
}
