//go:build unix

package pluginhost

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOwners(t *testing.T) {
	t.Parallel()
	require.NoError(t, checkOwner("/x", 0, 1000), "root may do anything anyway")
	require.NoError(t, checkOwner("/x", 1000, 1000))
	require.NoError(t, checkOwner("/x", 0, 0))
	require.EqualError(t, checkOwner("/x", 1001, 1000), "/x belongs to user 1001, who could replace it; mend it with: chown 1000 /x")
	require.Error(t, checkOwner("/x", 1000, 0), "a user must not get root's rights")
}
