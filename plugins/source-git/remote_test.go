package main

import (
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
)

func TestRemotes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		remote
		shown, address string
	}{
		"https://example.com/a/b.git":      {remote{schemeHTTPS, "", "example.com", "", "/a/b.git"}, "", "example.com:443"},
		"https://example.com:8443/a%20b":   {remote{schemeHTTPS, "", "example.com", "8443", "/a b"}, "", "example.com:8443"},
		"http://127.0.0.1:3000/r":          {remote{schemeHTTP, "", "127.0.0.1", "3000", "/r"}, "", "127.0.0.1:3000"},
		"http://10.0.0.7/r":                {remote{schemeHTTP, "", "10.0.0.7", "", "/r"}, "", "10.0.0.7:80"},
		"https://[::1]/r":                  {remote{schemeHTTPS, "", "::1", "", "/r"}, "", "[::1]:443"},
		"ssh://git@example.com/~ada/r.git": {remote{schemeSSH, "git", "example.com", "", "/~ada/r.git"}, "", "example.com:22"},
		"ssh://example.com:2222/r":         {remote{schemeSSH, "", "example.com", "2222", "/r"}, "", "example.com:2222"},
		"git@example.com:a/b.git":          {remote{schemeSSH, "git", "example.com", "", "a/b.git"}, "", "example.com:22"},
		"example.com:b":                    {remote{schemeSSH, "", "example.com", "", "b"}, "", "example.com:22"},
		"git@[::1]:b":                      {remote{schemeSSH, "git", "::1", "", "b"}, "", "[::1]:22"},
		"git@example.com:/abs/b":           {remote{schemeSSH, "git", "example.com", "", "/abs/b"}, "ssh://git@example.com/abs/b", "example.com:22"},
		"file:///srv/git/r.git":            {remote{schemeFile, "", "", "", "/srv/git/r.git"}, "", ":"},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			got, err := parseRemote(text)
			require.NoError(t, err)
			require.Equal(t, want.remote, got)
			if want.shown == "" {
				want.shown = text
			}
			require.Equal(t, want.shown, got.String())
			require.Equal(t, want.address, got.address())
		})
	}
}

// hostileURLs are those that made some program run a command, read a file or ask the wrong server, and their relatives.
var hostileURLs = map[string]string{
	"":                            "url is not set",
	"ext::sh -c touch% /evil":     "blanks are not allowed",
	"ext::touch%20/evil":          "remote helpers",
	"ext::https://example.com/r":  "must begin with https",
	"fd::17/foo":                  "remote helpers",
	"file::/etc/passwd":           "remote helpers",
	"-u./evil":                    "must not begin with -",
	"--upload-pack=touch /evil":   "blanks are not allowed",
	"--upload-pack=evil":          "must not begin with -",
	"ssh://-oProxyCommand=evil/r": "no valid host name",
	"ssh://-oProxyCommand=evil@example.com/r":        "no valid user name",
	"-oProxyCommand=evil:r":                          "must not begin with -",
	"git@-oProxyCommand=evil:r":                      "no valid host name",
	"git@example.com:-u/evil":                        "names no repository",
	"https://example.com/r\nhost: evil":              "control characters",
	"https://example.com/r%0ahost=evil":              "control characters",
	"https://example.com/r%00":                       "control characters",
	"https://example.com%0a.evil/r":                  "is not a URL",
	"https://example.com/r\x00":                      "control characters",
	"git@example.com:r\r\n":                          "control characters",
	"https://example.com/\u2028r":                    "blanks",
	"https://example.com/\xff":                       "control characters",
	"https://ada:hunter2@example.com/r":              "holds credentials",
	"https://token@example.com/r":                    "holds credentials",
	"ssh://git:hunter2@example.com/r":                "holds credentials",
	"https://@example.com/r":                         "holds credentials",
	"https://example.com@169.254.169.254/r":          "holds credentials",
	"https://example.com/r?x=y":                      "no query",
	"https://example.com/r?":                         "no query",
	"https://example.com/r#main":                     "no query",
	"https://example.com/r#":                         "no query",
	"https://example.com":                            "names no repository",
	"https://example.com/":                           "names no repository",
	"https:///r":                                     "no valid host name",
	"https://example.com:0/r":                        "no valid port",
	"https://example.com:99999/r":                    "no valid port",
	"https://example.com:port/r":                     "is not a URL",
	"https:example.com/r":                            "// is missing",
	"git://example.com/r":                            "neither encrypted",
	"ftp://example.com/r":                            "must begin with https",
	"gopher://example.com/r":                         "must begin with https",
	"javascript://example.com/r":                     "must begin with https",
	"git+ssh://example.com/r":                        "must begin with https",
	"file://example.com/r":                           "must be file:///path",
	"file://./r":                                     "must be file:///path",
	"/srv/git/r":                                     "type folder",
	"./r":                                            "type folder",
	"../../r":                                        "type folder",
	"https://169.254.169.254/latest/meta-data":       "is refused",
	"http://169.254.0.1/r":                           "is refused",
	"ssh://git@169.254.169.254/r":                    "is refused",
	"git@169.254.169.254:r":                          "is refused",
	"https://[fe80::1]/r":                            "is refused",
	"https://[fe80::1%25eth0]/r":                     "zones",
	"git@[fe80::1%eth0]:r":                           "is refused",
	"https://[::ffff:169.254.169.254]/r":             "is refused",
	"https://[64:ff9b::a9fe:a9fe]/r":                 "is refused",
	"https://[2002:a9fe:a9fe::1]/r":                  "is refused",
	"https://[::169.254.169.254]/r":                  "is refused",
	"https://[fd00:ec2::254]/r":                      "is refused",
	"https://100.100.100.200/r":                      "is refused",
	"https://0.0.0.0/r":                              "is refused",
	"https://[::]/r":                                 "is refused",
	"https://224.0.0.1/r":                            "is refused",
	"https://2852039166/r":                           "no valid host name",
	"https://0xa9fea9fe/r":                           "no valid host name",
	"https://0251.0376.0251.0376/r":                  "no valid host name",
	"https://169.254.43518/r":                        "no valid host name",
	"https://169.254.169.254./r":                     "no valid host name",
	"https://exam\u200bple.com/r":                    "no valid host name",
	"https://ⅷ.example/r":                            "no valid host name",
	"https://" + strings.Repeat("a.", 200) + "com/r": "no valid host name",
}

func TestHostileURLs(t *testing.T) {
	t.Parallel()
	for text, want := range hostileURLs {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			_, err := parseRemote(text)
			require.ErrorContains(t, err, want)
			require.Contains(t, []pluginapi.Code{pluginapi.CodeInvalid, pluginapi.CodeDenied}, pluginapi.CodeOf(err))
			require.NotContains(t, err.Error(), "hunter2")
			require.NotContains(t, err.Error(), "token@")
		})
	}
}

// FuzzRemote checks that what is accepted is nothing but a place of a repository, and stays the same when it is read again.
func FuzzRemote(f *testing.F) {
	for text := range hostileURLs {
		f.Add(text)
	}
	f.Add("git@example.com:a/b.git")
	f.Add("https://example.com/a%2fb")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRemote(text)
		if err != nil {
			return
		}
		require.Contains(t, []string{schemeHTTPS, schemeHTTP, schemeSSH, schemeFile}, r.scheme)
		for _, part := range []string{r.user, r.host, r.path} {
			require.False(t, strings.HasPrefix(part, "-"), "%q", part)
			require.False(t, strings.ContainsFunc(part, unicode.IsControl), "%q", part)
		}
		if address, err := netip.ParseAddr(r.host); err == nil {
			require.False(t, address.Unmap().IsLinkLocalUnicast(), "%s", address)
		}
		shown := r.String()
		if r.scheme != schemeSSH {
			u, err := url.Parse(shown)
			require.NoError(t, err)
			require.Nil(t, u.User)
			require.Equal(t, r.host, u.Hostname())
		}
		again, err := parseRemote(shown)
		require.NoError(t, err, "%q", shown)
		require.Equal(t, r, again)
		require.Equal(t, "'"+r.path+"'", unquoted(quote(r.path)))
	})
}

// unquoted undoes what a shell does with the parts between quotes.
func unquoted(text string) string {
	return strings.NewReplacer(`'\''`, "'", `'\!'`, "!").Replace(text)
}

func TestRefNames(t *testing.T) {
	t.Parallel()
	for _, ref := range []string{"main", "feature/x", "v1.2.3", "refs/heads/main", "refs/pull/1/head", "HEAD", "über", "a@b", "+a", strings.Repeat("a", 40)} {
		require.NoError(t, checkRef(ref), ref)
	}
	for _, ref := range []string{
		"", "-u", "--upload-pack=evil", "a/-x", "refs/heads/-x", "..", "a..b", "a/../b", ".hidden", "a/.b", "a b", "a\nb", "a\x00b", "a~1", "a^",
		"a:b", "a?", "a*", "[a", `a\b`, "@", "a@{1}", "/a", "a/", "a//b", "a.", "a.lock", "a.lock/b", "\xff",
	} {
		err := checkRef(ref)
		require.Error(t, err, "%q", ref)
		require.Equal(t, pluginapi.CodeInvalid, pluginapi.CodeOf(err))
	}
}

// FuzzRef checks that no ref that is accepted can be taken for an option, or for several words.
func FuzzRef(f *testing.F) {
	f.Add("main")
	f.Add("a/-b")
	f.Fuzz(func(t *testing.T, ref string) {
		if checkRef(ref) != nil {
			return
		}
		require.NotEmpty(t, ref)
		require.NotContains(t, ref, " ")
		require.False(t, strings.ContainsAny(ref, "\x00\r\n\t"), "%q", ref)
		for part := range strings.SplitSeq(ref, "/") {
			require.NotEmpty(t, part, "%q", ref)
			require.NotContains(t, []string{".", ".."}, part)
			require.False(t, strings.HasPrefix(part, "-"), "%q", ref)
		}
	})
}

func TestNamesThatAreTakenForGit(t *testing.T) {
	t.Parallel()
	for _, name := range []string{".git", ".GIT", ".gIt", ".git ", ".git.", "GIT~1", "git~1. ", ".git:x", ".g\u200dit", ".\ufeffgit"} {
		require.True(t, isDotGit(name), "%q", name)
	}
	for _, name := range []string{".gitignore", ".github", "git", "x.git", ".git2", "git~2", "a:b"} {
		require.False(t, isDotGit(name), "%q", name)
	}
}

// FuzzLinks follows links that are accepted: they lead to a place below the top, and climb before they descend.
func FuzzLinks(f *testing.F) {
	f.Add("a/b", "../c")
	f.Add("a", "b/../../c")
	f.Fuzz(func(t *testing.T, name, target string) {
		name = path.Join("d", name)
		if !filepath.IsLocal(name) || !linkStaysInside(name, target) {
			return
		}
		require.True(t, filepath.IsLocal(path.Join(path.Dir(name), target)), "%q leads to %q", name, target)
		descending := false
		for part := range strings.SplitSeq(target, "/") {
			require.False(t, descending && part == "..", "%q descends before it climbs", target)
			descending = descending || part != "" && part != "." && part != ".."
		}
	})
}
