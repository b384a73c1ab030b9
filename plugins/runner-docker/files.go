package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stroem/stroem/pluginapi"
)

// scratchPath is the last of our files to get into a container: where it is, the others are.
const scratchPath = ownDir + "/scratch"

// files are what a container gets besides its image and the workspace, as a tar archive from / on. Everybody may read them,
// because the image's user may be anybody.
func (r *runner) files(req *pluginapi.RunRequest, s *spec) (*bytes.Buffer, error) {
	var buf bytes.Buffer
	p := packer{w: tar.NewWriter(&buf), now: time.Now()}
	p.dir(ownDir, 0o755)
	if s.launched(req.Type) {
		p.file(ownDir+"/start", []byte(s.launcher(req.Type)))
	}
	if s.Cmd != "" {
		p.file(ownDir+"/cmd", []byte(s.Cmd))
	}
	input, err := os.ReadFile(inputFile(req))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, pluginapi.Errorf(pluginapi.CodeInternal, "read the input of the step: %w", err)
	}
	if err == nil {
		p.file(ownDir+"/input.json", input)
	}
	if req.Type == typeShell {
		if err := p.startup(r.cfg.StartupDir); err != nil {
			return nil, pluginapi.Errorf(pluginapi.CodePrecondition, "read the start-up scripts of startup_dir: %w", err)
		}
	}
	p.dir(scratchPath, 0o1777)
	if err := errors.Join(p.err, p.w.Close()); err != nil {
		return nil, pluginapi.Errorf(pluginapi.CodeInternal, "pack the files of the step: %w", err)
	}
	return &buf, nil
}

// packer writes a tar archive; its first error is kept.
type packer struct {
	w   *tar.Writer
	now time.Time
	err error
}

func (p *packer) dir(name string, mode int64) {
	p.header(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(name, "/") + "/", Mode: mode, ModTime: p.now})
}

func (p *packer) file(name string, data []byte) {
	p.header(&tar.Header{
		Typeflag: tar.TypeReg, Name: strings.TrimPrefix(name, "/"), Mode: 0o644, Size: int64(len(data)), ModTime: p.now,
	})
	if p.err == nil {
		_, p.err = p.w.Write(data)
	}
}

func (p *packer) header(h *tar.Header) {
	if p.err == nil {
		p.err = p.w.WriteHeader(h)
	}
}

// startup adds the start-up scripts of a directory on this machine, which need not exist.
func (p *packer) startup(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	begun := false
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".sh") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, entry.Name())) //nolint:gosec // a directory that the operator names
		if err != nil {
			return err
		}
		if !begun {
			p.dir("/etc/stroem", 0o755)
			p.dir(startupDir, 0o755)
			begun = true
		}
		p.file(startupDir+"/"+entry.Name(), data)
	}
	return nil
}
