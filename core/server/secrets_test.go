package server_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	apiv1 "github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/seal"
	"github.com/stroem/stroem/core/server"
)

// key is a key for secrets, the same for the same number.
func key(n byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{n}, seal.KeySize))
}

// refused starts a server that does not come up, and returns why.
func refused(t *testing.T, c config.Server) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := server.New(c, slog.New(slog.DiscardHandler)).Run(ctx)
	require.Error(t, err, "it came up")
	return err.Error()
}

// TestKeyIsMadeAtTheFirstStart starts a server again and again on one data directory, and others beside it.
func TestKeyIsMadeAtTheFirstStart(t *testing.T) {
	t.Parallel()
	c := load(t, coretest.Postgres(t), "")
	file := filepath.Join(c.DataDir, seal.FileName)
	for range 2 {
		_, stop := start(t, c)
		require.NoError(t, stop())
	}
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
	made, err := os.ReadFile(file)
	require.NoError(t, err)

	other := c
	other.DataDir = t.TempDir()
	require.Contains(t, refused(t, other), "there is none in "+other.DataDir+": set secrets.key to the content of secrets.key")
	require.NoFileExists(t, filepath.Join(other.DataDir, seal.FileName), "a key that is of no use is not made")
	other.Secrets.Key = config.Secret(key(1))
	require.Contains(t, refused(t, other), "this server has the key ")
	other.Secrets.Key = config.Secret(bytes.TrimSpace(made))
	_, stop := start(t, other)
	require.NoError(t, stop())

	require.NoError(t, os.Chmod(file, 0o644))
	require.Contains(t, refused(t, c), "chmod 600")
}

func TestKeyIsReplaced(t *testing.T) {
	t.Parallel()
	c := load(t, coretest.Postgres(t), "secrets: {key: "+key(1)+"}")
	_, stop := start(t, c)
	require.NoError(t, stop())
	c.Secrets.Key = config.Secret(key(2))
	require.Contains(t, refused(t, c), "secrets.old_keys")
	c.Secrets.OldKeys = []config.Secret{config.Secret(key(1))}
	_, stop = start(t, c)
	require.NoError(t, stop())
	c.Secrets.OldKeys = nil
	_, stop = start(t, c)
	require.NoError(t, stop(), "the new key is the recorded one")
	c.Secrets.Key = config.Secret(key(1))
	require.Contains(t, refused(t, c), "sealed with the key")
}

// What sops -d and vals eval do, for the arguments that they are called with.
const (
	sopsScript = `test "$*" = "--input-type yaml --output-type yaml -d /dev/stdin" || exit 2
in=$(cat /dev/stdin)
case $in in *NOKEY*) echo "Failed to get the data key required to decrypt the SOPS file." >&2; exit 128;; esac
printf '%s\n' "$in" | sed 's/ENC\[\(.*\)\]/\1/'`
	valsScript = `test "$*" = "eval -f - -o json" || exit 2
echo call >>"$(dirname "$0")/calls"
in=$(cat)
case $in in *broken*) echo "no such secret" >&2; exit 1;; esac
printf '%s' "$in" | sed 's/ref+echo:\/\///g'`
)

const referring = `secrets:
  plain: ref+echo://from-one-place
  deep: {list: [none, 'ref+echo://{{ env.PLACE }}']}
  filtered: '{{ "ref+echo://by-the-filter"|vals }}'
tasks:
  t:
    input: {a: {type: string, default: '{{ secret.plain }} {{ secret.deep.list[1] }} {{ secret.filtered }} {{ secret.sealed }}'}}
    flow: {s: {action: act}}
actions: {act: {type: shell, cmd: 'true'}}
`

// Not parallel: PATH belongs to the process.
func TestSecretsFromOtherPlaces(t *testing.T) {
	coretest.Programs(t, map[string]string{"sops": sopsScript, "vals": valsScript})
	t.Setenv("PLACE", "from-another-place")
	files := folder(t, map[string]string{"flows.yaml": referring, "more.sops.yaml": "secrets: {sealed: 'ENC[was encrypted]'}\n"})
	c := load(t, coretest.Postgres(t), "workspaces: {main: {type: folder, path: "+files+"}}\nsecrets: {env: [PLACE]}")
	api, _ := start(t, c)
	listed(t, api, func(c *assert.CollectT, w apiv1.Workspace) {
		assert.Empty(c, w.Error)
		assert.Equal(c, 1, w.TasksCount)
	})
	calls, err := os.ReadFile(filepath.Join(filepath.SplitList(os.Getenv("PATH"))[0], "calls"))
	require.NoError(t, err)
	require.Equal(t, "call\ncall\n", string(calls), "one for the filter, one for all references together")
	created, err := api.Execute(t.Context(), "main", "t", apiv1.ExecuteRequest{}, "")
	require.NoError(t, err)
	job, err := api.Job(t.Context(), created.JobID, 0)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"a": "•••••• •••••• •••••• ••••••"}, job.Input, "all of them are resolved, and so are masked")

	for content, want := range map[string]string{
		"secrets:\n  a: x\n  b: {c: ref+echo://broken}\n": "flows.yaml:3:6: error: the secret cannot be rendered: b.c",
		"secrets:\n  a: x\n  b: ['{{ env.HOME }}']\n":     "flows.yaml:3:6: error: the secret cannot be rendered: b[0]: ",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(files, "flows.yaml"), []byte(content), 0o600))
		listed(t, api, func(c *assert.CollectT, w apiv1.Workspace) { assert.Contains(c, w.Error, want) })
	}
	require.NoError(t, os.WriteFile(filepath.Join(files, "flows.yaml"), []byte(referring), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(files, "more.sops.yaml"), []byte("secrets: {sealed: NOKEY}\n"), 0o600))
	listed(t, api, func(c *assert.CollectT, w apiv1.Workspace) {
		assert.Contains(c, w.Error, "more.sops.yaml:1:1: error: decrypt with sops: exit status 128 (Failed to get the data key required")
	})
}

// Not parallel, as above.
func TestSecretsWithoutThePrograms(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	files := folder(t, map[string]string{"flows.yaml": referring[:len("secrets:\n  plain: ref+echo://from-one-place\n")]})
	c := load(t, coretest.Postgres(t), "workspaces: {main: {type: folder, path: "+files+"}}")
	api, _ := start(t, c)
	ready(t, api)
	listed(t, api, func(c *assert.CollectT, w apiv1.Workspace) { assert.Empty(c, w.Error, "workers may have vals") })
	require.NoError(t, os.WriteFile(filepath.Join(files, "more.sops.yaml"), []byte("secrets: {sealed: 'ENC[x]'}\n"), 0o600))
	listed(t, api, func(c *assert.CollectT, w apiv1.Workspace) {
		assert.Contains(c, w.Error, "more.sops.yaml:1:1: error: decrypt with sops: the program sops is not installed here")
	})
}
