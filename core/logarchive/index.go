package logarchive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/klauspost/compress/gzip"

	"github.com/stroem/stroem/core/joblog"
)

const (
	// version is that of the format.
	version = 1
	// memberSize is how many bytes of lines a member holds at most.
	memberSize = 4 << 20
	// maxMember is how many one may hold that we did not write, and how long it may be.
	maxMember = 16 << 20
	// maxIndex is how long an index may be, as JSON.
	maxIndex = 64 << 20
)

// Index tells where the lines of an object are.
type Index struct {
	Size    int64    // of the object, or of as much of it as the index is for
	Members []Member // one after another
	Log     joblog.Index
}

// Member is where a member of the object begins.
type Member struct {
	Offset int64 `json:"offset"` // in the object
	Start  int64 `json:"start"`  // in the log
}

// end returns where a member ends.
func (x *Index) end(i int) Member {
	if i+1 < len(x.Members) {
		return x.Members[i+1]
	}
	return Member{Offset: x.Size, Start: x.Log.Size}
}

// find returns the place of the member that holds a byte of the log.
func (x *Index) find(at int64) int {
	return sort.Search(len(x.Members), func(i int) bool { return x.Members[i].Start > at }) - 1
}

// indexJSON is how an index is stored.
type indexJSON struct {
	Version int          `json:"version"`
	Size    int64        `json:"size"`
	Members []Member     `json:"members"`
	Log     joblog.Index `json:"log"`
}

// Encode returns the index as it is stored.
func (x *Index) Encode() ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if err := json.NewEncoder(z).Encode(indexJSON{version, x.Size, x.Members, x.Log}); err != nil {
		return nil, fmt.Errorf("encode the index: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("encode the index: %w", err)
	}
	return out.Bytes(), nil
}

var (
	errVersion = errors.New("the index is of another version")
	errMembers = errors.New("the index is not that of an archived log")
)

// Decode reads an index as it is stored. Whatever is read, the index is one that can be used, and memory is bounded.
func Decode(r io.Reader) (*Index, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	var wire indexJSON
	if err := json.NewDecoder(io.LimitReader(z, maxIndex)).Decode(&wire); err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	if wire.Version != version {
		return nil, fmt.Errorf("%w: %d", errVersion, wire.Version)
	}
	x := &Index{Size: wire.Size, Members: wire.Members, Log: wire.Log}
	if (len(x.Members) == 0) != (x.Log.Size == 0) || (x.Log.Lines == 0) != (x.Log.Size == 0) || (len(x.Members) == 0) != (x.Size == 0) {
		return nil, errMembers
	}
	for i, m := range x.Members {
		end := x.end(i)
		if i == 0 && m != (Member{}) || end.Offset <= m.Offset || end.Start <= m.Start ||
			end.Offset-m.Offset > maxMember || end.Start-m.Start > maxMember {
			return nil, errMembers
		}
	}
	return x, nil
}

// extend returns the index of an object to which another one was added.
func (x *Index) extend(rest *Index) *Index {
	whole := &Index{Size: x.Size + rest.Size, Log: joblog.Concat(x.Log, rest.Log)}
	whole.Members = append(whole.Members, x.Members...)
	for _, m := range rest.Members {
		whole.Members = append(whole.Members, Member{Offset: m.Offset + x.Size, Start: m.Start + x.Log.Size})
	}
	return whole
}
