// Package gitserver makes git repositories for tests, and serves them over http, https and ssh on loopback, with the git
// program on the server's side.
package gitserver

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// TB is what is needed of a test.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	TempDir() string
	Cleanup(f func())
	Context() context.Context
}

// Skipper is a test that can be skipped.
type Skipper interface {
	TB
	Skip(args ...any)
}

// Require skips a test if there is no git program; if STROEM_TEST_REQUIRE names git, it fails.
func Require(t Skipper) {
	t.Helper()
	_, err := exec.LookPath("git")
	switch {
	case err == nil:
	case slices.Contains(strings.Split(os.Getenv("STROEM_TEST_REQUIRE"), ","), "git"):
		t.Fatalf("git is required and not installed: %v", err)
	default:
		t.Skip("git is not installed: apt install git (Debian, Ubuntu), dnf install git (Fedora), brew install git (macOS)")
	}
}

// environment keeps git from reading what is configured on the machine.
func environment(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
		"GIT_AUTHOR_NAME=Ada Lovelace", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Charles Babbage", "GIT_COMMITTER_EMAIL=charles@example.com",
	}
}

// Repository is a bare repository and a place to make commits in. Not for concurrent use.
type Repository struct {
	Dir  string // the bare repository, <Root>/repo.git
	Root string // what servers serve
	work string
	t    TB
}

// New makes an empty repository whose branch is main.
func New(t TB) *Repository {
	t.Helper()
	root := t.TempDir()
	r := &Repository{Dir: filepath.Join(root, "repo.git"), Root: root, work: t.TempDir(), t: t}
	r.run("", nil, "init", "--quiet", "--bare", "--initial-branch=main", r.Dir)
	return r
}

// Git runs git on the repository and returns what it prints.
func (r *Repository) Git(args ...string) string {
	r.t.Helper()
	return r.GitInput("", args...)
}

// GitInput is like [Repository.Git] with an input.
func (r *Repository) GitInput(input string, args ...string) string {
	r.t.Helper()
	return r.run(input, []string{"GIT_DIR=" + r.Dir, "GIT_WORK_TREE=" + r.work}, args...)
}

func (r *Repository) run(input string, env []string, args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir = r.work
	cmd.Env = append(environment(r.work), env...)
	cmd.Stdin = strings.NewReader(input)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, said.String())
	}
	return strings.TrimSpace(string(out))
}

// Commit makes a commit with exactly these files on the current branch, and returns its id. What begins with #! can be
// executed.
func (r *Repository) Commit(message string, files map[string]string) string {
	r.t.Helper()
	if err := os.RemoveAll(r.work); err != nil {
		r.t.Fatalf("clear the work tree: %v", err)
	}
	if err := os.Mkdir(r.work, 0o755); err != nil {
		r.t.Fatalf("make the work tree: %v", err)
	}
	for name, text := range files {
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		path := filepath.Join(r.work, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			r.t.Fatalf("make a directory: %v", err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			r.t.Fatalf("write a file: %v", err)
		}
	}
	r.Git("add", "--all", ".")
	r.Git("commit", "--quiet", "--allow-empty", "--message", message)
	return r.Head()
}

// Head returns the id of the last commit of the current branch.
func (r *Repository) Head() string {
	r.t.Helper()
	return r.Git("rev-parse", "HEAD")
}
