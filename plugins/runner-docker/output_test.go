package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOutputArrivesAsItIs: bytes that are no text, lines longer than what the engine takes at once, with letters of several
// bytes, and no newline at the end; often, because what is lost is lost at the end.
func TestOutputArrivesAsItIs(t *testing.T) {
	t.Parallel()
	random := make([]byte, 300_000)
	_, err := rand.Read(random)
	require.NoError(t, err)
	long := strings.Repeat("日本", 40_000)
	f := setup(t, typeShell, doc{"cmd": "cat random; cat long >&2; seq 1 2000; printf 'no newline'"}, nil)
	f.files(t, map[string]string{"long": long})
	require.NoError(t, os.WriteFile(filepath.Join(f.req.Workspace.Dir, "random"), random, 0o644))
	_, err = f.runner.Run(t.Context(), f.req, f.out)
	require.NoError(t, err)
	stdout, stderr, _ := f.out.Text()
	require.Equal(t, long, stderr)
	require.True(t, strings.HasPrefix(stdout, string(random)))
	rest := stdout[len(random):]
	require.True(t, strings.HasSuffix(rest, "\n1999\n2000\nno newline"), "%.60q", rest[max(0, len(rest)-60):])
	require.Equal(t, 2000, strings.Count(rest, "\n"))
}

// frame encodes a piece as the engine does.
func frame(stream byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{stream, 0, 0, 0}, uint32(len(text))), text...)
}

func TestFrames(t *testing.T) {
	t.Parallel()
	const first, second = "2026-11-25T12:10:21.434500182Z", "2026-11-25T12:10:21.5Z"
	log := bytes.Join([][]byte{
		frame(frameStdout, first+" one\n"), frame(frameStderr, first+" a b"), frame(frameStdout, second+" "),
	}, nil)
	frames := newFrames(bytes.NewReader(log))
	for _, want := range []struct {
		stderr   bool
		at, text string
	}{{false, first, "one\n"}, {true, first, "a b"}, {false, second, ""}} {
		p, err := frames.next()
		require.NoError(t, err)
		require.Equal(t, want.text, string(p.data))
		require.Equal(t, want.stderr, p.stderr)
		at, err := time.Parse(time.RFC3339Nano, want.at)
		require.NoError(t, err)
		require.Equal(t, at, p.at)
	}
	_, err := frames.next()
	require.ErrorIs(t, err, io.EOF)

	for _, bad := range [][]byte{
		frame(frameStderr, "Error grabbing logs: gone"), frame(frameSystem, first+" trouble"), []byte("{\"message\": \"no frame\"}"),
	} {
		_, err := newFrames(bytes.NewReader(bad)).next()
		require.ErrorIs(t, err, errLog)
	}
	for n := 1; n < len(log)/3; n++ {
		_, err := newFrames(bytes.NewReader(log[:n])).next()
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
}

func TestCursor(t *testing.T) {
	t.Parallel()
	at := func(n int) time.Time { return time.Unix(100, int64(n)) }
	out, errs := func(n int) piece { return piece{at: at(n)} }, func(n int) piece { return piece{at: at(n), stderr: true} }
	c := newCursor(at(5))
	require.Equal(t, at(5), c.rewind())
	require.False(t, c.fresh(out(4)))
	require.True(t, c.fresh(out(5)), "what was written at that time is wanted")
	require.True(t, c.fresh(out(5)))
	require.True(t, c.fresh(errs(9)))
	require.True(t, c.fresh(out(7)))
	require.True(t, c.fresh(out(7)), "two pieces may have the same time")
	require.True(t, c.fresh(out(6)), "a clock that steps back")
	require.True(t, c.fresh(out(7)))

	require.Equal(t, at(7), c.rewind(), "each stream has a place of its own")
	require.False(t, c.fresh(out(7)))
	require.False(t, c.fresh(errs(9)))
	require.True(t, c.fresh(out(7)))
	require.True(t, c.fresh(errs(9)))
	require.Equal(t, "100.000000007", stamp(c.rewind()))
	require.Empty(t, stamp(zero))

	quiet := newCursor(zero)
	require.True(t, quiet.fresh(out(0)))
	require.Equal(t, at(0).Add(-streamSkew), quiet.rewind(), "not all is read again for a stream on which nothing comes")
	require.False(t, quiet.fresh(out(0)))
	require.True(t, quiet.fresh(errs(0)))
	require.True(t, quiet.fresh(out(1)))
}
