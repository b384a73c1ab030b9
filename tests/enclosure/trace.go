//go:build linux

package enclosure

import (
	"net"
	"os"
	"path/filepath"
	"strings"
)

// Trace is what is looked for when an enclosure has ended.
type Trace struct {
	// Dir is the directory of the enclosure.
	Dir string
	// Links are its network interface, and what is connected to that.
	Links []Link
}

// Follow notes what is to be gone once the enclosure with this directory is, which now runs.
func Follow(dir string) Trace {
	trace := Trace{Dir: dir}
	if link := recordedLink(dir); link.Name != "" {
		trace.Links = []Link{link}
		connected, _ := filepath.Glob(filepath.Join("/sys/class/net", link.Name, "brif/*"))
		for _, path := range connected {
			if seen, err := net.InterfaceByName(filepath.Base(path)); err == nil {
				trace.Links = append(trace.Links, Link{Name: seen.Name, Index: seen.Index})
			}
		}
	}
	return trace
}

// Left lists what there is of the enclosure.
func (t Trace) Left() []string {
	var found []string
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range commands {
		if content, err := os.ReadFile(file); err == nil && strings.Contains(string(content), t.Dir) {
			found = append(found, "process "+filepath.Base(filepath.Dir(file)))
		}
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), t.Dir) {
		found = append(found, "mounts")
	}
	for _, root := range hierarchies() {
		if dir := filepath.Join(root, filepath.Base(t.Dir)); exists(dir) {
			found = append(found, dir)
		}
	}
	for _, link := range t.Links {
		if link.exists() {
			found = append(found, "interface "+link.Name)
		}
	}
	if exists(t.Dir) {
		found = append(found, t.Dir)
	}
	return found
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
