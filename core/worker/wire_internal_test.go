package worker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWorkersHaveDirectoriesOfTheirOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, name := range []string{"w", "web-1", "web_1", "web.1", "web 1", "web/1", "..", ".", "__", "wörker", "w_rker"} {
		file := fileName(name)
		require.Regexp(t, `^[A-Za-z0-9_-]+$`, file)
		require.Empty(t, seen[file], name)
		seen[file] = name
	}
	require.Equal(t, "web-1", fileName("web-1"))
}
