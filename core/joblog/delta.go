package joblog

import "slices"

// Delta is what an index has more than one that was known.
type Delta struct {
	Lines  int64    `json:"lines"`
	Size   int64    `json:"size"`
	Steps  []string `json:"steps,omitempty"`  // more
	From   int      `json:"from"`             // place of the first of Blocks
	Blocks []Block  `json:"blocks,omitempty"` // from the last one that was known, which may have grown
}

// Since returns what is new to somebody who knows so many blocks and steps of an earlier state.
func (x *Index) Since(blocks, steps int) Delta {
	d := Delta{Lines: x.Lines, Size: x.Size, From: min(max(blocks-1, 0), x.Blocks())}
	d.Steps = slices.Clone(x.Steps[min(max(steps, 0), len(x.Steps)):])
	for i := d.From; i < x.Blocks(); i++ {
		d.Blocks = append(d.Blocks, x.Block(i))
	}
	return d
}

// With returns the index with a delta to it. Whatever the delta is, the index is one that can be used; errors: it does not belong
// to this one.
func (x *Index) With(d Delta) (Index, error) {
	known := min(max(x.Blocks()-1, 0), d.From)
	if d.From < 0 || d.From != known {
		return Index{}, errIndex
	}
	wire := indexJSON{Lines: d.Lines, Size: d.Size, Steps: append(slices.Clip(x.Steps), d.Steps...)}
	for i := range known {
		wire.Blocks = append(wire.Blocks, x.Block(i))
	}
	wire.Blocks = append(wire.Blocks, d.Blocks...)
	return wire.index()
}
