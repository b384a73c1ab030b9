package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

const storedLines = `{"step":"a","stream":"stdout","line":"one"}
{"step":"long-name","stream":"stderr","line":"two \u001b[2J"}
{"step":"a","stream":"stdout","line":"three"}
not stored by us
`

func TestLogLines(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		view logView
		want string
	}{
		"plain": {
			logView{out: &printer{}}, "a | one\nlong-name | two \uFFFD[2J\na | three\n | not stored by us\n",
		},
		"under each other": {
			logView{out: &printer{}, width: 9}, "a         | one\nlong-name | two \uFFFD[2J\na         | three\n          | not stored by us\n",
		},
		"as stored": {logView{out: &printer{}, raw: true}, storedLines},
		"a colour for each step, red for stderr": {
			logView{out: &printer{colour: true}, width: 9},
			"\x1b[36ma\x1b[0m         | one\n\x1b[32mlong-name\x1b[0m \x1b[31m|\x1b[0m two \uFFFD[2J\n\x1b[36ma\x1b[0m         | three\n" +
				"\x1b[33m\x1b[0m          | not stored by us\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			tc.view.out.w = &out
			require.NoError(t, tc.view.lines(storedLines))
			require.NoError(t, tc.view.lines(""))
			require.Equal(t, tc.want, out.String())
		})
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	for terminal, want := range map[bool]string{
		false: "Downloading …\na line\n",
		true:  "\r\x1b[KStarting …\r\x1b[KDownloading …\n\r\x1b[KWaiting …\r\x1b[Ka line\n",
	} {
		var out bytes.Buffer
		p := newProgress(&out)
		p.terminal = terminal
		p.say("Starting")
		p.slow("Downloading")
		p.say("Waiting")
		p.clear()
		p.clear()
		p.line("a line")
		require.Equal(t, want, out.String())
	}
}
