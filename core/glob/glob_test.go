package glob_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/glob"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		glob, name string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"**", "a/b", true},
		{"?", "", false},
		{"?", "ø", true},
		{"??", "ø", false},
		{"*??", "€", false},
		{"deploy", "deploy", true},
		{"deploy", "Deploy", false},
		{"deploy", "deploy-now", false},
		{"deploy-*", "deploy-", true},
		{"deploy-*", "deploy", false},
		{"deploy-*", "my-deploy-x", false},
		{"*-prod", "eu-prod-prod", true},
		{"*-prod", "eu-prod-1", false},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"a*?b", "ab", false},
		{"a*?b", "axxb", true},
		{"team/*", "team/a/b", true},
		{"strøm-?", "strøm-é", true},
		{"%", "a", false},
		{"_", "a", false},
		{`\*`, `\x`, true},
		{`\*`, "*", false},
		{"[ab]", "a", false},
		{"[ab]", "[ab]", true},
		{"a.c", "abc", false},
		{"a\n*", "a\nb", true},
	} {
		require.Equal(t, test.want, glob.Match(test.glob, test.name), "%q %q", test.glob, test.name)
	}
}

// A glob that would keep a matcher that backtracks busy for ages.
func TestMatchIsQuick(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	require.False(t, glob.Match(strings.Repeat("a*", 100)+"b", strings.Repeat("a", 5000)))
	require.False(t, glob.Match(strings.Repeat("*?a", 100)+"b", strings.Repeat("a", 5000)))
	require.Less(t, time.Since(begun), 5*time.Second)
}

// matches is the meaning of a glob, written as a table: the first g characters match the first n.
func matches(glob, name []string) bool {
	table := make([][]bool, len(glob)+1)
	for g := range table {
		table[g] = make([]bool, len(name)+1)
		for n := range table[g] {
			switch {
			case g == 0:
				table[g][n] = n == 0
			case glob[g-1] == "*":
				table[g][n] = table[g-1][n] || n > 0 && table[g][n-1]
			default:
				table[g][n] = n > 0 && table[g-1][n-1] && (glob[g-1] == "?" || glob[g-1] == name[n-1])
			}
		}
	}
	return table[len(glob)][len(name)]
}

func characters(text string) []string {
	var list []string
	for text != "" {
		_, size := utf8.DecodeRuneInString(text)
		list = append(list, text[:size])
		text = text[size:]
	}
	return list
}

func FuzzMatch(f *testing.F) {
	f.Add("*a?b*", "xaabb")
	f.Add("deploy-*-prod", "deploy-eu-prod-prod")
	f.Add("*€?", "a€ø")
	f.Add("\xc3*", "ø")
	f.Add("?", "\xff")
	f.Add("*\xac?", "€€")
	f.Add("\xc3", "\xb8")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern)*len(name) > 1<<20 {
			return // what it is compared with takes that much memory
		}
		require.Equal(t, matches(characters(pattern), characters(name)), glob.Match(pattern, name), "%q %q", pattern, name)
		if !utf8.ValidString(pattern) || !utf8.ValidString(name) {
			return // two halves of a character would become one
		}
		require.True(t, glob.Match(pattern+"*", strings.NewReplacer("*", "", "?", "x").Replace(pattern)+name), "%q %q", pattern, name)
	})
}
