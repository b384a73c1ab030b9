package pluginhost

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/stroem/stroem/pluginapi"
)

// candidate is a plugin that is to run: found in the plugin directory, or named by the configuration.
type candidate struct {
	file   string // runner-docker: how the configuration calls it
	kind   pluginapi.Kind
	name   string // docker
	binary binary
	PluginConfig
	configured bool // the operator named it
}

// label is what begins error messages: runner(docker).
func (c *candidate) label() string { return fmt.Sprintf("%s(%s)", c.kind, c.name) }

// binary is an executable by its directory and the name in it.
type binary struct{ dir, name string }

func (b binary) path() string { return filepath.Join(b.dir, b.name) }

// discover lists the plugins of a host, sorted by file name. It looks at names alone; whether a file may be run is
// checked before each start.
func discover(cfg *Config) ([]*candidate, error) {
	binaries := map[string]binary{}
	if cfg.Dir != "" {
		if err := scan(cfg, binaries); err != nil {
			return nil, fmt.Errorf("read plugin directory: %w", err)
		}
	}
	for file := range cfg.Plugins {
		if cfg.wants(file) {
			binaries[file] = locate(cfg, file, binaries)
		}
	}
	for _, file := range cfg.Only {
		if cfg.wants(file) {
			binaries[file] = locate(cfg, file, binaries)
		}
	}
	candidates := make([]*candidate, 0, len(binaries))
	for _, file := range slices.Sorted(maps.Keys(binaries)) {
		kind, name, _ := splitName(file)
		plugin, configured := cfg.Plugins[file]
		candidates = append(candidates, &candidate{
			file: file, kind: kind, name: name, binary: binaries[file],
			PluginConfig: plugin, configured: configured || slices.Contains(cfg.Only, file),
		})
	}
	return candidates, nil
}

// locate says where the plugin called file is, or should be.
func locate(cfg *Config, file string, found map[string]binary) binary {
	if path := cfg.Plugins[file].Path; path != "" {
		return binary{dir: filepath.Dir(path), name: filepath.Base(path)}
	}
	if b, ok := found[file]; ok {
		return b
	}
	return binary{dir: cfg.Dir, name: file + exeSuffix()}
}

// scan adds the plugins in the plugin directory. Files that are not executable are not plugins; links are judged later.
func scan(cfg *Config, found map[string]binary) error {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return err
	}
	cfg.Dir = dir
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		file := strings.TrimSuffix(entry.Name(), exeSuffix())
		if !cfg.wants(file) || !mayBePlugin(entry) {
			continue
		}
		found[file] = binary{dir: dir, name: entry.Name()}
	}
	return nil
}

func mayBePlugin(entry fs.DirEntry) bool {
	if entry.Type()&fs.ModeSymlink != 0 {
		return true
	}
	info, err := entry.Info()
	return err == nil && info.Mode().IsRegular() && executable(info.Mode())
}

func exeSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// open returns the file if it may be run: it is an executable, and nobody but its owner can replace or change it. The
// directory is the boundary: a link that leads out of it is refused.
func (b binary) open() (*os.File, error) {
	if !filepath.IsAbs(b.dir) {
		return nil, fmt.Errorf("the path %s is not absolute", b.path())
	}
	root, err := os.OpenRoot(b.dir)
	if err != nil {
		return nil, fmt.Errorf("open plugin directory: %w", err)
	}
	defer func() { _ = root.Close() }() // only read from
	dir, err := root.Stat(".")
	if err != nil {
		return nil, fmt.Errorf("read plugin directory %s: %w", b.dir, err)
	}
	if err := checkWritable(b.dir, dir.Mode()); err != nil {
		return nil, err
	}
	file, err := root.Open(b.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %s", b.path())
	}
	if err != nil {
		return nil, fmt.Errorf("open %s (a link must not leave its directory): %w", b.path(), err)
	}
	if err := checkExecutable(b.path(), file); err != nil {
		_ = file.Close() // only read from
		return nil, err
	}
	return file, nil
}

func checkExecutable(path string, file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if !info.Mode().IsRegular() || !executable(info.Mode()) {
		return fmt.Errorf("%s is not an executable file (mode %v)", path, info.Mode())
	}
	return checkWritable(path, info.Mode())
}
