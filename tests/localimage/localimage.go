// Package localimage makes container images out of programs of this machine, without a registry and without an engine. They
// are archives as `docker save` writes them, which every engine takes.
package localimage

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// Image says what is in an image beside busybox, which makes up its /bin.
type Image struct {
	// Name is the whole name, with a tag.
	Name string
	// Command is what a container runs that is not told otherwise.
	Command []string
	// Programs are names of programs of this machine, which come with the libraries that they need. They are in /bin.
	Programs []string
	// Scripts are the texts of further programs in /bin by name.
	Scripts map[string]string
	// Paths are further files of this machine that are in the image under the same name.
	Paths []string
}

// Write writes the image. The same programs make the same bytes. It needs a busybox without libraries.
func (i Image) Write(ctx context.Context, w io.Writer) error {
	layer, err := i.Files(ctx)
	if err != nil {
		return fmt.Errorf("make the image %s: %w", i.Name, err)
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": "1970-01-01T00:00:00Z",
		"config":  map[string]any{"Env": []string{"PATH=/usr/local/bin:/usr/bin:/bin"}, "Cmd": i.Command},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
		"history": []any{map[string]any{"created": "1970-01-01T00:00:00Z"}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]any{map[string]any{
		"Config": "config.json", "RepoTags": []string{i.Name}, "Layers": []string{"layer.tar"},
	}})
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	for _, file := range []struct {
		name    string
		content []byte
	}{{"manifest.json", manifest}, {"config.json", config}, {"layer.tar", layer}} {
		if err := addFile(archive, file.name, file.content, 0o644); err != nil {
			return err
		}
	}
	return archive.Close()
}

// Files are those of the image, which are its one layer, as a tar.
func (i Image) Files(ctx context.Context) ([]byte, error) {
	var buffer bytes.Buffer
	layer := tar.NewWriter(&buffer)
	err := errors.Join(
		i.addBusybox(ctx, layer),
		addFile(layer, "etc/passwd", []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"), 0o644),
		addFile(layer, "etc/group", []byte("root:x:0:\nnogroup:x:65534:\n"), 0o644),
		layer.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}),
		layer.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "root/", Mode: 0o700}),
	)
	files := slices.Clone(i.Paths)
	for _, program := range i.Programs {
		libraries, programErr := addProgram(ctx, layer, program)
		files = append(files, libraries...)
		err = errors.Join(err, programErr)
	}
	for _, name := range slices.Sorted(maps.Keys(i.Scripts)) {
		err = errors.Join(err, addFile(layer, "bin/"+name, []byte(i.Scripts[name]), 0o755))
	}
	slices.Sort(files)
	for _, file := range slices.Compact(files) {
		content, readErr := os.ReadFile(file)
		err = errors.Join(err, readErr, addFile(layer, strings.TrimPrefix(file, "/"), content, 0o755))
	}
	if err := errors.Join(err, layer.Close()); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// addBusybox adds busybox with links for all that it can do and the image has no program of its own for.
func (i Image) addBusybox(ctx context.Context, layer *tar.Writer) error {
	program, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf("find busybox: %w", err)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return fmt.Errorf("read busybox: %w", err)
	}
	applets, err := exec.CommandContext(ctx, program, "--list").Output()
	if err != nil {
		return fmt.Errorf("ask busybox what it can do: %w", err)
	}
	if err := addFile(layer, "bin/busybox", content, 0o755); err != nil {
		return err
	}
	for applet := range strings.FieldsSeq(string(applets)) {
		if _, scripted := i.Scripts[applet]; scripted || applet == "busybox" || slices.Contains(i.Programs, applet) {
			continue
		}
		link := &tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + applet, Linkname: "busybox", Mode: 0o777}
		if err := layer.WriteHeader(link); err != nil {
			return err
		}
	}
	return nil
}

// library is a path in what ldd prints: of a library, or of the loader.
var library = regexp.MustCompile(`(?m)(?:=> |^\s+)(/\S+) \(0x`)

// addProgram adds a program and returns the paths of all libraries that it loads.
func addProgram(ctx context.Context, layer *tar.Writer, name string) (libraries []string, err error) {
	file, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", name, err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	out, err := exec.CommandContext(ctx, "ldd", file).Output()
	if err != nil {
		return nil, fmt.Errorf("ask which libraries %s needs: %w", name, err)
	}
	for _, match := range library.FindAllSubmatch(out, -1) {
		libraries = append(libraries, string(match[1]))
	}
	return libraries, addFile(layer, "bin/"+name, content, 0o755)
}

func addFile(archive *tar.Writer, name string, content []byte, mode int64) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: path.Clean(name), Mode: mode, Size: int64(len(content))}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}
