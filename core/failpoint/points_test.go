package failpoint_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/failpoint"
)

var hit = regexp.MustCompile(`failpoint\.Hit\("([^"]*)"\)`)

func TestEveryPointIsInTheCodeOnceAndInTheDocument(t *testing.T) {
	t.Parallel()
	var found, listed []string
	require.NoError(t, filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range hit.FindAllSubmatch(source, -1) {
			found = append(found, string(match[1]))
		}
		return err
	}))
	document, err := os.ReadFile("../../docs/reliability.md")
	require.NoError(t, err)
	for _, point := range failpoint.Points {
		listed = append(listed, point.Name)
		require.Contains(t, string(document), "| `"+point.Name+"` | "+point.When+" |", "TestCrashMatrix writes it")
	}
	slices.Sort(found)
	slices.Sort(listed)
	require.Equal(t, listed, found)
}

func TestNothingIsArmedInAProgramAsItIsReleased(t *testing.T) {
	t.Setenv(failpoint.Variable, failpoint.Points[0].Name)
	require.False(t, failpoint.Enabled)
	failpoint.Hit(failpoint.Points[0].Name)
}
