package main

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/tests/gitserver"
)

func hasObject(dir, id string) bool {
	_, err := object.GetCommit(objects(dir), plumbing.NewHash(id))
	return err == nil
}

// commitTree makes a commit of a tree that git itself would not make. Entries are "mode name" and a blob or tree.
func commitTree(repo *gitserver.Repository, entries ...[2]string) string {
	var raw strings.Builder
	for _, e := range entries {
		id := plumbing.NewHash(e[1])
		raw.WriteString(e[0] + "\x00" + string(id[:]))
	}
	tree := repo.GitInput(raw.String(), "hash-object", "-t", "tree", "-w", "--literally", "--stdin")
	commit := repo.Git("commit-tree", "-m", "hostile", tree)
	repo.Git("update-ref", "refs/heads/main", commit)
	return commit
}

func blob(repo *gitserver.Repository, text string) string {
	return repo.GitInput(text, "hash-object", "-w", "--stdin")
}

func subtree(repo *gitserver.Repository, name, blob string) string {
	id := plumbing.NewHash(blob)
	return repo.GitInput("100644 "+name+"\x00"+string(id[:]), "hash-object", "-t", "tree", "-w", "--literally", "--stdin")
}

func TestHostileTrees(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		make func(r *gitserver.Repository) [][2]string
		want string
	}{
		"dot git": {one("100644 .git"), "taken for the data of a repository"},
		"dot git directory": {func(r *gitserver.Repository) [][2]string {
			return [][2]string{{"40000 .git", subtree(r, "config", blob(r, "x"))}}
		}, "taken for the data"},
		"upper case":      {one("100644 .GIT"), "taken for the data"},
		"short name":      {one("100644 GIT~1"), "taken for the data"},
		"dots at the end": {one("100644 .git. ."), "taken for the data"},
		"stream":          {one("100644 .git::$INDEX_ALLOCATION"), "taken for the data"},
		"without width":   {one("100644 .g\u200cit"), "taken for the data"},
		"up":              {one("100644 .."), "no name for a file"},
		"here":            {one("100644 ."), "no name for a file"},
		"path":            {one("100644 a/b"), "no name for a file"},
		"climbing path":   {one("100644 ../evil"), "no name for a file"},
		"absolute":        {one("100644 /evil"), "no name for a file"},
		"backslash":       {one(`100644 ..\evil`), "no name for a file"},
		"not UTF-8":       {one("100644 a\xff"), "not UTF-8"},
		"below": {func(r *gitserver.Repository) [][2]string {
			return [][2]string{{"40000 deep", subtree(r, ".Git", blob(r, "x"))}}
		}, `"deep/.Git"`},
		"twice": {func(r *gitserver.Repository) [][2]string {
			return [][2]string{{"100644 a", blob(r, "x")}, {"100644 a", blob(r, "y")}}
		}, `"a" is in the revision twice`},
		"through a link": {func(r *gitserver.Repository) [][2]string {
			return [][2]string{{"120000 a", blob(r, "b")}, {"40000 a", subtree(r, "evil", blob(r, "x"))}, {"40000 b", subtree(r, "f", blob(r, "x"))}}
		}, `"a" is in the revision twice`},
		"over a link": {func(r *gitserver.Repository) [][2]string {
			return [][2]string{{"120000 a", blob(r, "b")}, {"100644 a", blob(r, "x")}}
		}, `"a" is in the revision twice`},
		"link out":          {link("../evil"), "the link \"l\" leads to"},
		"absolute link":     {link("/etc/passwd"), "the link \"l\" leads to"},
		"empty link":        {link(""), "the link \"l\" leads to"},
		"link down and out": {link("a/../../evil"), "the link \"l\" leads to"},
		"link with NUL":     {link("a\x00b"), "the link \"l\" leads to"},
		"endless link":      {link(strings.Repeat("a", 5000)), "the link \"l\" leads to"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo, _ := repository(t)
			id := commitTree(repo, test.make(repo)...)
			of := settings{URL: "file://" + repo.Dir}
			s := start(t, `{"allow_file_urls": true}`)
			parent := t.TempDir()
			dir := parent + "/dir"
			require.NoError(t, os.Mkdir(dir, 0o750))
			_, err := s.Fetch(t.Context(), &pluginapi.FetchRequest{Settings: encode(t, of), Revision: id, Dir: dir})
			requireCode(t, pluginapi.CodeInvalid, err, test.want)
			beside, err := os.ReadDir(parent)
			require.NoError(t, err)
			require.Len(t, beside, 1, "nothing beside the directory")
		})
	}
}

func one(entry string) func(*gitserver.Repository) [][2]string {
	return func(r *gitserver.Repository) [][2]string { return [][2]string{{entry, blob(r, "x")}} }
}

func link(target string) func(*gitserver.Repository) [][2]string {
	return func(r *gitserver.Repository) [][2]string { return [][2]string{{"120000 l", blob(r, target)}} }
}

func TestHarmlessTree(t *testing.T) {
	t.Parallel()
	repo, _ := repository(t)
	sub := subtree(repo, "file", blob(repo, "deep"))
	id := commitTree(repo,
		[2]string{"100644 .gitattributes", blob(repo, "*.bin filter=lfs\n")},
		[2]string{"100644 .gitmodules", blob(repo, "[submodule \"m\"]\n\tpath = module\n\turl = ext::sh -c evil\n")},
		[2]string{"100664 data.bin", blob(repo, "version https://git-lfs.github.com/spec/v1\n")},
		[2]string{"40000 dir", sub},
		[2]string{"120000 link", blob(repo, "dir/file")},
		[2]string{"160000 module", strings.Repeat("a", 40)},
		[2]string{"120000 nowhere", blob(repo, "missing")},
		[2]string{"100755 run", blob(repo, "x")},
		[2]string{"100644 über.txt", blob(repo, "y")},
	)
	dir := t.TempDir()
	of := settings{URL: "file://" + repo.Dir}
	_, err := start(t, `{"allow_file_urls": true}`).Fetch(t.Context(), &pluginapi.FetchRequest{Settings: encode(t, of), Revision: id, Dir: dir})
	require.NoError(t, err)
	files := tree(t, dir)
	require.Equal(t, []string{".gitattributes", ".gitmodules", "data.bin", "dir/file", "link", "nowhere", "run", "über.txt"}, keys(files))
	require.Equal(t, "-> dir/file", files["link"])
	require.Contains(t, files["data.bin"], "git-lfs", "pointers stay what they are")
	module, err := os.ReadDir(dir + "/module")
	require.NoError(t, err)
	require.Empty(t, module)
	for name, mode := range map[string]os.FileMode{"run": 0o755, "data.bin": 0o644, "dir": 0o755, "module": 0o755} {
		info, err := os.Stat(dir + "/" + name)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), name)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	repo, _ := repository(t)
	base := strings.Repeat("0123456789abcdef\n", 600)
	want := map[string]string{"a": base, "b": base + "and more", "c": strings.Repeat("\x00", 3<<20), "d/e": "x"}
	id := repo.Commit("large", want)
	repo.Git("gc", "--quiet")
	_, files, err := start(t, `{"allow_file_urls": true}`).fetched(t.Context(), t, settings{URL: "file://" + repo.Dir}, id)
	require.NoError(t, err)
	require.True(t, maps.Equal(want, files), "without limits all of it is there")
	for name, test := range map[string]struct{ config, want string }{
		"files":      {`"max_files": 4`, "more than 4 files"},
		"bytes":      {`"max_bytes": 100000`, "more than 100000 bytes (max_bytes)"},
		"download":   {`"max_bytes": 300`, "more than 300 bytes to download"},
		"file bytes": {`"max_file_bytes": 1000000`, "a file of 3145728 bytes"},
		"delta":      {`"max_file_bytes": 10203`, "a file of 1020"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, fmt.Sprintf(`{"allow_file_urls": true, %s}`, test.config))
			_, _, err := s.fetched(t.Context(), t, settings{URL: "file://" + repo.Dir}, id)
			requireCode(t, pluginapi.CodeExhausted, err, test.want)
		})
	}
}

// TestTreeBomb has a tree that is there ten times in one that is there ten times …
func TestTreeBomb(t *testing.T) {
	t.Parallel()
	repo, _ := repository(t)
	last := [2]string{"100644 f", blob(repo, "x")}
	var id string
	for range 12 {
		var entries [][2]string
		mode, _, _ := strings.Cut(last[0], " ")
		for i := range 10 {
			entries = append(entries, [2]string{fmt.Sprintf("%s %d", mode, i), last[1]})
		}
		id = commitTree(repo, entries...)
		last = [2]string{"40000 d", repo.Git("rev-parse", id+"^{tree}")}
	}
	s := start(t, `{"allow_file_urls": true, "max_files": 2000}`)
	_, _, err := s.fetched(t.Context(), t, settings{URL: "file://" + repo.Dir}, id)
	requireCode(t, pluginapi.CodeExhausted, err, "more than 2000 files")
}

func TestDeltaSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"\x05\x07": 7, "\x85\x01\x80\x01": 128, "\xff\xff\x7f\xff\xff\xff\x7f": 0x7f<<21 | 0x1fffff, "": 0, "\x85": 0,
		strings.Repeat("\xff", 30): 1 << 62,
	} {
		var h head
		_, _ = h.Write([]byte(text[:len(text)/2])) // always succeeds
		_, _ = h.Write([]byte(text[len(text)/2:]))
		require.Equal(t, want, h.target(), "%q", text)
	}
}
