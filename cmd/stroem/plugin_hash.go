package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stroem/stroem/core/pluginhost"
)

// fileHash is the checksum of a plugin's file, and why a host might not take the file.
type fileHash struct {
	Path     string   `json:"path"`
	Plugin   string   `json:"plugin"`
	SHA256   string   `json:"sha256"`
	Warnings []string `json:"warnings"`
}

func (a *app) pluginHashCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hash FILE...",
		Short: "Print the checksums of plugins, as the configuration wants them",
		Long: `hash prints the SHA-256 of plugins as lines for the configuration of the server or a worker. A plugin that is pinned so is
started only while its file is the same. What a host would refuse is warned of.`,
		Example: "  stroem plugin hash /usr/lib/stroem/plugins/*",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			hashes := make([]fileHash, len(args))
			for i, path := range args {
				var err error
				if hashes[i], err = hashFile(path); err != nil {
					return err
				}
			}
			if a.out.structured() {
				return a.out.document(hashes)
			}
			lines := []string{"plugins:"}
			for _, h := range hashes {
				for _, warning := range h.Warnings {
					_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "Warning: %s\n", warning)
				}
				lines = append(lines, "  "+h.Plugin+":", "    sha256: "+h.SHA256)
			}
			return a.out.line(strings.Join(lines, "\n"))
		},
	}
}

func hashFile(path string) (fileHash, error) {
	path, err := executable(path)
	if err != nil {
		return fileHash{}, err
	}
	f, err := os.Open(path) //nolint:gosec // named by the user
	if err != nil {
		return fileHash{}, fmt.Errorf("read plugin: %w", err)
	}
	defer func() { _ = f.Close() }() // only read from
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return fileHash{}, fmt.Errorf("read plugin: %w", err)
	}
	return fileHash{Path: path, Plugin: fileKey(path), SHA256: hex.EncodeToString(sum.Sum(nil)), Warnings: warningsOf(path)}, nil
}

// warningsOf says why a host would not start the plugin.
func warningsOf(path string) []string {
	warnings := []string{}
	if !pluginFile.MatchString(fileKey(path)) {
		warnings = append(warnings, path+" is not called as a plugin is: <kind>-<name>, such as runner-acme.demo")
	}
	for _, reason := range pluginhost.Refusals(path) {
		warnings = append(warnings, fmt.Sprintf("a host refuses it: %v", reason))
	}
	return warnings
}
