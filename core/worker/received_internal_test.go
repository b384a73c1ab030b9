package worker

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/pluginapi"
)

// Whenever a plugin dies that hands out pieces with the times at which they came, and the next one repeats those from the
// last time on, in other chunks, nothing is lost or doubled.
func TestReceived(t *testing.T) {
	t.Parallel()
	type piece struct {
		stream int
		text   string
		at     time.Time
	}
	rapid.Check(t, func(t *rapid.T) {
		clock := time.Unix(1_700_000_000, 0)
		var pieces []piece
		want := [2]string{}
		for range rapid.IntRange(0, 30).Draw(t, "pieces") {
			clock = clock.Add(time.Duration(rapid.IntRange(0, 15).Draw(t, "ms")+1) * time.Millisecond)
			p := piece{rapid.IntRange(0, 1).Draw(t, "stream"), rapid.StringN(1, 5, -1).Draw(t, "text"), clock}
			pieces, want[p.stream] = append(pieces, p), want[p.stream]+p.text
		}
		var r received
		var got [2]bytes.Buffer
		streams := [2]*receiving{{Writer: &got[0], from: &r}, {Writer: &got[1], from: &r, stream: 1}}
		note := func() {
			_, err := streams[1].Write([]byte(pluginapi.NotePrefix + "taking its time\n"))
			require.NoError(t, err)
		}
		for range 4 {
			since := r.since()
			r.resume()
			rest := pieces
			for len(rest) > 0 && rest[0].at.Before(since) {
				rest = rest[1:]
			}
			for stop := rapid.IntRange(0, len(rest)).Draw(t, "until the plugin dies"); stop > 0; {
				chunk := rest[0]
				rest, stop = rest[1:], stop-1
				for stop > 0 && rest[0].stream == chunk.stream && rest[0].at.Sub(chunk.at) <= 20*time.Millisecond && rapid.Bool().Draw(t, "merged") {
					chunk.text += rest[0].text
					rest, stop = rest[1:], stop-1
				}
				if rapid.Bool().Draw(t, "note") {
					note()
				}
				_, err := streams[chunk.stream].WriteTimed([]byte(chunk.text), chunk.at)
				require.NoError(t, err)
			}
		}
		since := r.since()
		r.resume()
		for _, p := range pieces {
			if !p.at.Before(since) {
				_, err := streams[p.stream].WriteTimed([]byte(p.text), p.at)
				require.NoError(t, err)
			}
		}
		require.Equal(t, want[0], got[0].String())
		require.Equal(t, want[1], string(bytes.ReplaceAll(got[1].Bytes(), []byte(pluginapi.NotePrefix+"taking its time\n"), nil)))
	})
}
