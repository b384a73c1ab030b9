package oidc_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReasonsAreDocumented: whoever meets one finds what to do about it.
func TestReasonsAreDocumented(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("error.go")
	require.NoError(t, err)
	document, err := os.ReadFile("../../docs/single-sign-on.md")
	require.NoError(t, err)
	reasons := regexp.MustCompile(`"(oidc_\w+)"`).FindAllSubmatch(source, -1)
	require.NotEmpty(t, reasons)
	for _, reason := range reasons {
		require.Contains(t, string(document), "`"+string(reason[1])+"`")
	}
}
