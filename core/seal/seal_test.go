package seal_test

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/seal"
)

func TestSealedValuesOpenInTheirPlace(t *testing.T) {
	t.Parallel()
	key := seal.Generate()
	for _, plain := range []string{"", "hunter2 hunter2", strings.Repeat("long ", 10_000)} {
		sealed, err := key.Seal([]byte(plain), "job.input", "1")
		require.NoError(t, err)
		again, err := key.Seal([]byte(plain), "job.input", "1")
		require.NoError(t, err)
		require.NotEqual(t, sealed, again, "equal values cannot be told from what is stored")
		if plain != "" {
			require.False(t, bytes.Contains(sealed, []byte(plain)))
		}
		opened, err := key.Open(sealed, "job.input", "1")
		require.NoError(t, err)
		require.Equal(t, plain, string(opened))
		for _, place := range [][]string{{"job.input", "2"}, {"job.output", "1"}, {"job.input"}, {"job.input", "1", ""}, {"job.input1"}, {"", "job.input1"}} {
			_, err := key.Open(sealed, place...)
			require.ErrorContains(t, err, "belongs to another place", "%q", place)
		}
	}
}

func TestChangedValuesDoNotOpen(t *testing.T) {
	t.Parallel()
	key := seal.Generate()
	sealed, err := key.Seal([]byte("hunter2"), "a")
	require.NoError(t, err)
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		_, err := key.Open(changed, "a")
		require.Error(t, err, "byte %d", i)
		_, err = key.Open(sealed[:i], "a")
		require.Error(t, err, "cut at %d", i)
	}
}

func TestOlderKeysOpen(t *testing.T) {
	t.Parallel()
	older := seal.Generate()
	sealed, err := older.Seal([]byte("hunter2"), "a")
	require.NoError(t, err)
	key, err := seal.NewKey(bytes.Repeat([]byte{7}, seal.KeySize), older)
	require.NoError(t, err)
	require.Equal(t, []string{older.ID()}, key.OlderIDs())
	opened, err := key.Open(sealed, "a")
	require.NoError(t, err)
	require.Equal(t, "hunter2", string(opened))
	_, err = seal.Generate().Open(sealed, "a")
	require.ErrorContains(t, err, "sealed with the key "+older.ID())
	ofNew, err := key.Seal([]byte("x"), "a")
	require.NoError(t, err)
	_, err = older.Open(ofNew, "a")
	require.ErrorContains(t, err, "sealed with the key "+key.ID())
}

func TestKeysAreOf32Bytes(t *testing.T) {
	t.Parallel()
	one, err := seal.ParseKey(" " + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32)) + "\n")
	require.NoError(t, err)
	same, err := seal.NewKey(bytes.Repeat([]byte{1}, 32))
	require.NoError(t, err)
	require.Equal(t, one.ID(), same.ID())
	require.Len(t, one.ID(), 16)
	for _, text := range []string{"", "AAAA", "not base64!", base64.StdEncoding.EncodeToString(make([]byte, 33))} {
		_, err := seal.ParseKey(text)
		require.Error(t, err)
	}
}

// TestKeyIsMadeOnce has many make the key of one directory at the same time.
func TestKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	_, err := seal.ReadFile(dir)
	require.ErrorIs(t, err, fs.ErrNotExist)
	var group sync.WaitGroup
	ids, errs := make([]string, 8), make([]error, 8)
	for i := range ids {
		group.Go(func() {
			var key *seal.Key
			if key, errs[i] = seal.WriteFile(dir); errs[i] == nil {
				ids[i] = key.ID()
			}
		})
	}
	group.Wait()
	for i := range ids {
		require.NoError(t, errs[i])
		require.Equal(t, ids[0], ids[i])
	}
	key, err := seal.ReadFile(dir)
	require.NoError(t, err)
	require.Equal(t, ids[0], key.ID())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no drafts are left")
	info, err := entries[0].Info()
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
}

func TestKeyThatOthersReadIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := seal.WriteFile(dir)
	require.NoError(t, err)
	name := filepath.Join(dir, seal.FileName)
	require.NoError(t, os.Chmod(name, 0o640))
	_, err = seal.ReadFile(dir)
	require.ErrorContains(t, err, "chmod 600 "+name)
	require.NoError(t, os.Chmod(name, 0o600))
	require.NoError(t, os.WriteFile(name, []byte("AAAA\n"), 0o600))
	_, err = seal.WriteFile(dir)
	require.ErrorContains(t, err, name+": a key has 32 bytes")
}

func TestDerivedKeys(t *testing.T) {
	t.Parallel()
	older := seal.Generate()
	key, err := seal.NewKey(bytes.Repeat([]byte{7}, seal.KeySize), older)
	require.NoError(t, err)
	one, err := key.Derive("one")
	require.NoError(t, err)
	again, err := key.Derive("one")
	require.NoError(t, err)
	require.Equal(t, one, again)
	another, err := key.Derive("another")
	require.NoError(t, err)
	ofOlder, err := older.Derive("one")
	require.NoError(t, err)
	require.Len(t, one, 2)
	require.Equal(t, one[1:], ofOlder)
	for _, derived := range append(one, another...) {
		require.Len(t, derived, seal.KeySize)
		require.NotEqual(t, bytes.Repeat([]byte{7}, seal.KeySize), derived)
	}
	require.NotEqual(t, one[0], another[0])
	require.NotEqual(t, one[0], one[1])
}

func BenchmarkSeal(b *testing.B) {
	key, plain := seal.Generate(), bytes.Repeat([]byte("x"), 1000)
	for b.Loop() {
		sealed, err := key.Seal(plain, "job.input", "1")
		require.NoError(b, err)
		_, err = key.Open(sealed, "job.input", "1")
		require.NoError(b, err)
	}
}
