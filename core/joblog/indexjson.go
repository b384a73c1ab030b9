package joblog

import (
	"encoding/json"
	"errors"
)

// indexJSON is how an index is stored and sent.
type indexJSON struct {
	Lines  int64    `json:"lines"`
	Size   int64    `json:"size"`
	Steps  []string `json:"steps,omitempty"`
	Blocks []Block  `json:"blocks,omitempty"`
}

// MarshalJSON implements [json.Marshaler].
func (x Index) MarshalJSON() ([]byte, error) {
	wire := indexJSON{Lines: x.Lines, Size: x.Size, Steps: x.Steps, Blocks: make([]Block, x.Blocks())}
	for i := range wire.Blocks {
		wire.Blocks[i] = x.Block(i)
	}
	return json.Marshal(wire)
}

var errIndex = errors.New("is not the index of a log")

// UnmarshalJSON implements [json.Unmarshaler]. Whatever data is, the index is one that can be used.
func (x *Index) UnmarshalJSON(data []byte) error {
	var wire indexJSON
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	index, err := wire.index()
	if err == nil {
		*x = index
	}
	return err
}

// index checks what came.
func (wire *indexJSON) index() (Index, error) {
	if wire.Lines < 0 || wire.Size < 0 || (wire.Lines == 0) != (len(wire.Blocks) == 0) {
		return Index{}, errIndex
	}
	before := Block{}
	for i, b := range wire.Blocks {
		first := i == 0 && b.Line == 1 && b.Offset == 0
		later := i > 0 && b.Line > before.Line && b.Offset > before.Offset
		if !first && !later || b.Line > wire.Lines || b.Offset >= wire.Size {
			return Index{}, errIndex
		}
		for _, id := range b.Steps {
			if id < 0 || int(id) >= len(wire.Steps) {
				return Index{}, errIndex
			}
		}
		before = b
	}
	x := Index{Lines: wire.Lines, Size: wire.Size, Steps: wire.Steps}
	if last := len(wire.Blocks) - 1; last >= 0 {
		x.blocks, x.last = wire.Blocks[:last:last], wire.Blocks[last]
	}
	return x, nil
}
