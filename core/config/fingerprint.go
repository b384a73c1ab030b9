package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Fingerprint is the SHA-256, in hexadecimal digits, of the configuration that is in effect: file, environment and defaults.
// Secrets are not in it, so that nobody can try guesses on it; that one of them has changed does not show.
func (c *Server) Fingerprint() (string, error) {
	text, err := yaml.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("print the configuration: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
