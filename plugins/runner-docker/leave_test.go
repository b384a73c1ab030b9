package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/stretchr/testify/require"
)

// letGo makes the file go in the scratch directory, for which the step waits.
func (f *fixture) letGo(t *testing.T) {
	t.Helper()
	var files bytes.Buffer
	p := packer{w: tar.NewWriter(&files)}
	p.file(scratchPath+"/go", nil)
	require.NoError(t, errors.Join(p.err, p.w.Close()))
	require.NoError(t, f.api.CopyToContainer(t.Context(), name(f.req.RunID, f.req.Labels), "/", &files, container.CopyToContainerOptions{}))
}
