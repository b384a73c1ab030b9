package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Settings are keys that belong to a plugin, which checks them against its own schema. They may hold secrets, so only
// JSON gives the values; printed and logged, everything under a key that sounds secret is hidden.
type Settings map[string]any

// JSON returns the settings as a JSON object, secrets included.
func (s Settings) JSON() (json.RawMessage, error) {
	if s == nil {
		return json.RawMessage("{}"), nil
	}
	raw, err := json.Marshal(map[string]any(s))
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	return raw, nil
}

// String returns the settings as JSON without secrets.
func (s Settings) String() string {
	text, err := json.Marshal(hide(map[string]any(s)))
	if err != nil {
		return redacted
	}
	return string(text)
}

// Format prints the settings without secrets for every verb.
func (s Settings) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue keeps secrets out of logs.
func (s Settings) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalYAML keeps secrets out of a printed configuration.
func (s Settings) MarshalYAML() (any, error) { return hide(map[string]any(s)), nil }

// UnmarshalYAML reads any mapping whose keys are text.
func (s *Settings) UnmarshalYAML(node *yaml.Node) error {
	var m map[string]any
	if err := node.Decode(&m); err != nil {
		return err
	}
	if _, err := json.Marshal(m); err != nil {
		return fmt.Errorf("not expressible as JSON: %w", err)
	}
	*s = m
	return nil
}

var secretKey = regexp.MustCompile(`(?i)(pass|secret|token|key|credential|private)`)

// hide copies v without what stands under a key that sounds secret and without passwords in URLs.
func hide(v any) any {
	switch v := v.(type) {
	case map[string]any:
		shown := make(map[string]any, len(v))
		for key, value := range v {
			place := strings.HasSuffix(key, "_path") || strings.HasSuffix(key, "_file")
			if secretKey.MatchString(key) && !place {
				shown[key] = redacted
				continue
			}
			shown[key] = hide(value)
		}
		return shown
	case []any:
		shown := make([]any, len(v))
		for i, value := range v {
			shown[i] = hide(value)
		}
		return shown
	case string:
		u, err := url.Parse(v)
		if err == nil && u.User != nil && u.Scheme != "ssh" {
			u.User = url.User("redacted")
			return u.String()
		}
		return v
	default:
		return v
	}
}
