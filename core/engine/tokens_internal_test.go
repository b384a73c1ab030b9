package engine

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGlobs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		glob string
		yes  []string
		no   []string
	}{
		{"ci", []string{"ci"}, []string{"", "ci-1", "xci", "CI", "ci ", " ci"}},
		{"ci-*", []string{"ci-", "ci-1", "ci-a/b", "ci-*"}, []string{"ci", "xci-1", "i-1"}},
		{"*-ci", []string{"-ci", "a-ci", "-ci-ci"}, []string{"ci", "-cix"}},
		{"a*b*c", []string{"abc", "axbxc", "abbcc", "abcbc"}, []string{"ac", "abcd", "acb"}},
		{"gpu-?", []string{"gpu-1", "gpu-ø"}, []string{"gpu-", "gpu-12"}},
		{"?*", []string{"a", "ab"}, []string{""}},
		{"*", []string{"", "a", "a\nb"}, nil},
		{"[a-z].+", []string{"[a-z].+"}, []string{"a.+", "b1"}},
	} {
		for _, text := range test.yes {
			require.True(t, matches(test.glob, text), "%q for %q", test.glob, text)
		}
		for _, text := range test.no {
			require.False(t, matches(test.glob, text), "%q for %q", test.glob, text)
		}
	}
}

func FuzzGlobs(f *testing.F) {
	f.Add("a*?b", "axyb")
	f.Add("**a", "ba")
	f.Add("ci-*", "ci-\n")
	f.Fuzz(func(t *testing.T, glob, text string) {
		glob, text = strings.ToValidUTF8(glob, "x"), strings.ToValidUTF8(text, "x")
		if strings.Count(glob, "*") > 20 || len(glob)+len(text) > 300 {
			return
		}
		pattern := regexp.QuoteMeta(glob)
		pattern = strings.ReplaceAll(strings.ReplaceAll(pattern, `\*`, "(?s:.*)"), `\?`, "(?s:.)")
		want := regexp.MustCompile(`\A` + pattern + `\z`).MatchString(text)
		if matches(glob, text) != want {
			t.Fatalf("%q for %q: want %t", glob, text, want)
		}
	})
}
