package pluginhost

import (
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

// key is where the configuration speaks of the plugin.
func (c *candidate) key() string { return "plugins." + c.file }

// discover lists the plugins of a host, sorted by file name. It looks at names alone; whether a file may be run is
// checked before each start.
func discover(cfg *Config) ([]*candidate, error) {
	binaries := map[string]binary{}
	if cfg.Dir != "" {
		if err := scan(cfg, binaries); err != nil {
			return nil, fmt.Errorf("read plugin directory (plugins.dir): %w", err)
		}
	}
	if err := checkCase(cfg, binaries); err != nil {
		return nil, err
	}
	for file, plugin := range cfg.Plugins {
		if cfg.wants(file) && !plugin.Optional {
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
			PluginConfig: plugin, configured: configured && !plugin.Optional || slices.Contains(cfg.Only, file),
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

// checkCase refuses names that differ in case alone. On some file systems they are one file; on the others the operator
// has most likely meant a plugin that is called otherwise, which then would be neither disabled nor pinned.
func checkCase(cfg *Config, found map[string]binary) error {
	names := map[string]string{}
	for _, file := range slices.Sorted(maps.Keys(found)) {
		if other, ok := names[strings.ToLower(file)]; ok {
			return fmt.Errorf("plugin directory %s has both %s and %s; names must differ in more than case", cfg.Dir, other, file)
		}
		names[strings.ToLower(file)] = file
	}
	for _, file := range slices.Sorted(maps.Keys(cfg.Plugins)) {
		if other, ok := names[strings.ToLower(file)]; ok && other != file {
			return fmt.Errorf("plugins.%s: there is a plugin %s, which differs from it in case alone", file, other)
		}
		names[strings.ToLower(file)] = file
	}
	return nil
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
