package logarchive_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/logarchive"
)

func zip(t testing.TB, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return out.Bytes()
}

const someLog = `{"lines":2,"size":20,"blocks":[{"line":1,"offset":0}]}`

func TestIndexIsRefused(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"nothing":           ``,
		"another version":   `{"version":2}`,
		"members of no log": `{"version":1,"size":9,"members":[{"offset":0,"start":0}],"log":{"lines":0,"size":0}}`,
		"no members":        `{"version":1,"size":9,"members":[],"log":` + someLog + `}`,
		"begins later":      `{"version":1,"size":9,"members":[{"offset":1,"start":0}],"log":` + someLog + `}`,
		"begins in the log": `{"version":1,"size":9,"members":[{"offset":0,"start":1}],"log":` + someLog + `}`,
		"goes back":         `{"version":1,"size":9,"members":[{"offset":0,"start":0},{"offset":5,"start":5},{"offset":4,"start":6}],"log":` + someLog + `}`,
		"behind the end":    `{"version":1,"size":9,"members":[{"offset":0,"start":0},{"offset":9,"start":5}],"log":` + someLog + `}`,
		"behind the log":    `{"version":1,"size":9,"members":[{"offset":0,"start":0},{"offset":8,"start":20}],"log":` + someLog + `}`,
		"negative":          `{"version":1,"size":-9,"members":[{"offset":0,"start":0}],"log":` + someLog + `}`,
		"a large member":    fmt.Sprintf(`{"version":1,"size":9,"members":[{"offset":0,"start":0}],"log":{"lines":1,"size":%d,"blocks":[{"line":1,"offset":0}]}}`, 1<<40),
		"a long member":     fmt.Sprintf(`{"version":1,"size":%d,"members":[{"offset":0,"start":0}],"log":%s}`, 1<<40, someLog),
		"lines in no bytes": `{"version":1,"size":9,"members":[],"log":{"lines":2,"size":0,"blocks":[{"line":1,"offset":0}]}}`,
	} {
		_, err := logarchive.Decode(bytes.NewReader(zip(t, document)))
		require.Error(t, err, name)
	}
	index, err := logarchive.Decode(bytes.NewReader(zip(t, `{"version":1,"size":9,"members":[{"offset":0,"start":0}],"log":`+someLog+`}`)))
	require.NoError(t, err)
	require.Equal(t, int64(2), index.Log.Lines)
	_, err = logarchive.Decode(bytes.NewReader(zip(t, `{"version":1,"size":0,"members":[],"log":{"lines":0,"size":0}}`)))
	require.NoError(t, err, "a log may be empty")
}

// FuzzIndex takes what a bucket may hold as an index, reads an object through it, and looks at what it is made to again.
func FuzzIndex(f *testing.F) {
	b := newBundle(f)
	b.lines("a", 3, "hello")
	b.put()
	object := b.store.Object(key)
	good := gunzip(f, b.store.Object(key+".idx"))
	f.Add(string(good))
	f.Add(`{"version":1,"size":9,"members":[{"offset":0,"start":0},{"offset":5,"start":5}],"log":` + someLog + `}`)
	f.Fuzz(func(t *testing.T, document string) {
		packed := zip(t, document)
		index, err := logarchive.Decode(bytes.NewReader(packed))
		if err != nil {
			return
		}
		again, err := index.Encode()
		require.NoError(t, err)
		same, err := logarchive.Decode(bytes.NewReader(again))
		require.NoError(t, err)
		require.Equal(t, index.Log.Lines, same.Log.Lines)
		require.Equal(t, index.Members, same.Members)
		b := newBundle(t)
		b.store.Set(key, object)
		b.store.Set(key+".idx", packed)
		v, ok, err := b.View(t.Context(), key, 0)
		require.NoError(t, err)
		require.True(t, ok)
		defer func() { require.NoError(t, v.Close()) }()
		buf := make([]byte, 64)
		for at := int64(0); at < min(v.Index.Size, 4096); at += 61 {
			if n, err := v.Bytes.ReadAt(buf, at); err != nil {
				require.Less(t, n, len(buf))
				break
			}
		}
	})
}
