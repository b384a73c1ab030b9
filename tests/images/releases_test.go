package images_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// serveReleases serves releases of the tools at the versions of the runner image, as their publishers lay them out. The
// checksum of the tampered tool is wrong. Each tool prints its name and the tag of its release.
func serveReleases(t *testing.T, tampered string) string {
	t.Helper()
	files := map[string][]byte{}
	add := func(tool, repository, tag, file, sums, format string, content []byte) {
		sum := sha256.Sum256(content)
		if tool == tampered {
			sum = sha256.Sum256(nil)
		}
		at := "/" + repository + "/releases/download/" + tag + "/"
		files[at+file] = content
		line := strings.NewReplacer("FILE", file, "SUM", fmt.Sprintf("%x", sum)).Replace(format)
		files[at+sums] = append(files[at+sums], line+"\n"...)
	}
	const list, tagged = "SUM  FILE", "MD5 (FILE) = 00\nSHA256 (FILE) = SUM\nSHA3-256 (FILE) = 00"
	for _, machine := range []struct{ name, goName, bunName string }{{"x86_64", "amd64", "x64"}, {"aarch64", "arm64", "aarch64"}} {
		add("sops", "getsops/sops", "v3.11.0", "sops-v3.11.0.linux."+machine.goName, "sops-v3.11.0.checksums.txt", list,
			program("sops", "v3.11.0"))
		add("vals", "helmfile/vals", "v0.43.3", "vals_0.43.3_linux_"+machine.goName+".tar.gz", "vals_0.43.3_checksums.txt", list,
			tarball(t, map[string][]byte{"README.md": nil, "vals": program("vals", "v0.43.3")}))
		add("yq", "mikefarah/yq", "v4.52.4", "yq_linux_"+machine.goName, "checksums-bsd", tagged, program("yq", "v4.52.4"))
		name := "uv-" + machine.name + "-unknown-linux-gnu"
		add("uv", "astral-sh/uv", "0.10.4", name+".tar.gz", name+".tar.gz.sha256", "SUM *FILE", tarball(t, map[string][]byte{
			name + "/uv": program("uv", "0.10.4"), name + "/uvx": program("uvx", "0.10.4"),
		}))
		name = "bun-linux-" + machine.bunName
		add("bun", "oven-sh/bun", "bun-v1.3.9", name+".zip", "SHASUMS256.txt", list,
			zipped(t, name+"/bun", program("bun", "bun-v1.3.9")))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(content)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func program(name, tag string) []byte { return []byte("#!/bin/sh\necho " + name + " " + tag + "\n") }

func tarball(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var buffer bytes.Buffer
	packed := gzip.NewWriter(&buffer)
	archive := tar.NewWriter(packed)
	for name, content := range files {
		require.NoError(t, archive.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}))
		_, err := archive.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	require.NoError(t, packed.Close())
	return buffer.Bytes()
}

func zipped(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var buffer bytes.Buffer
	archive := zip.NewWriter(&buffer)
	file, err := archive.Create(name)
	require.NoError(t, err)
	_, err = file.Write(content)
	require.NoError(t, err)
	require.NoError(t, archive.Close())
	return buffer.Bytes()
}
