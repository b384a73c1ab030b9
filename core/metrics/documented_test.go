package metrics_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var (
	helpLine = regexp.MustCompile(`(?m)^# HELP (stroem_\w+) `)
	named    = regexp.MustCompile(`\bstroem_\w+`)
	// yamlBlock is one that is written for Prometheus.
	yamlBlock = regexp.MustCompile("(?s)```yaml\n(groups:.*?)```")
)

// TestAllSeriesAreDocumented compares what is served with the document, and with what its alerts ask for.
func TestAllSeriesAreDocumented(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	var served, listed []string
	for _, match := range helpLine.FindAllStringSubmatch(scrape(t, everything()), -1) {
		served = append(served, match[1])
	}
	for line := range strings.Lines(string(document)) {
		if strings.HasPrefix(line, "| `stroem_") {
			listed = append(listed, named.FindAllString(strings.Split(line, "|")[1], -1)...)
		}
	}
	require.ElementsMatch(t, served, listed)

	rules := yamlBlock.FindSubmatch(document)
	require.NotNil(t, rules, "the document has alerts")
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	require.NoError(t, yaml.Unmarshal(rules[1], &file))
	require.NotEmpty(t, file.Groups[0].Rules)
	for _, rule := range file.Groups[0].Rules {
		require.NotEmpty(t, rule.Expr, rule.Alert)
		for _, name := range named.FindAllString(rule.Expr, -1) {
			require.True(t, slices.Contains(served, strings.TrimSuffix(name, "_bucket")), "%s asks for %s", rule.Alert, name)
		}
	}
}
