//go:build linux

package enclosure

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Link is a network interface of an enclosure. Another one may be given the name of one that is gone, but not its index.
type Link struct {
	Name  string
	Index int
}

const linkFile = "link"

// linkName is short: the kernel takes 15 bytes.
func linkName(dir string, number int) string {
	name := strings.TrimPrefix(filepath.Base(dir), "stroem-")
	name, _, _ = strings.Cut(name, "-")
	return "stroem-" + name[:min(6, len(name))] + strconv.Itoa(number)
}

// recordLink writes down the enclosure's network interface.
func recordLink(dir, name string) (Link, error) {
	seen, err := net.InterfaceByName(name)
	if err != nil {
		return Link{}, fmt.Errorf("look at the interface %s: %w", name, err)
	}
	l := Link{Name: name, Index: seen.Index}
	text, err := json.Marshal(l)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, linkFile), text, 0o600)
	}
	if err != nil {
		return l, fmt.Errorf("write down the interface: %w", err)
	}
	return l, nil
}

// recordedLink is the enclosure's network interface; it has no name if there is none.
func recordedLink(dir string) (l Link) {
	text, err := os.ReadFile(filepath.Join(dir, linkFile))
	if err != nil || json.Unmarshal(text, &l) != nil {
		return Link{}
	}
	return l
}

func (l Link) exists() bool {
	seen, err := net.InterfaceByName(l.Name)
	return err == nil && seen.Index == l.Index
}

func (l Link) remove() error {
	if !l.exists() {
		return nil
	}
	out, err := exec.Command("ip", "link", "delete", l.Name).CombinedOutput() //nolint:noctx // no context is left
	if err != nil && l.exists() {
		return fmt.Errorf("remove the interface %s: %w: %s", l.Name, err, out)
	}
	return nil
}
