package core_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
)

func TestNamesOfActionTypes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		vendor      string
		third, some bool
	}{
		"shell": {"", false, true}, "acme.deploy": {"acme", true, true}, "acme.tools.x-1_y": {"acme", true, true},
		"": {}, "Shell": {}, "a b": {}, "../x": {vendor: ""}, ".x": {}, "x.": {vendor: "x"}, "a/b": {}, "9.x": {vendor: "9"},
		"acme." + strings.Repeat("x", 100): {vendor: "acme"},
	} {
		require.Equal(t, want.third, core.IsVendorType(name), name)
		require.Equal(t, want.some, core.IsActionType(name), name)
		require.Equal(t, want.vendor, core.Vendor(name), name)
	}
}

func TestWaitingReason(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		actionType, plugin string
		tags               []string
		offered            bool
		want               string
	}{
		{"shell", "", []string{"shell", "gpu"}, true, "offers the tags gpu, shell"},
		{"shell", "", []string{"shell"}, false, "offers the tags shell"},
		{"acme.deploy", "", []string{"acme.deploy"}, false, "runs actions of type acme.deploy: start one with a plugin that does (none was ever here)"},
		{"acme.deploy", "acme.tools", []string{"acme.deploy"}, false, "it comes with the plugin acme.tools"},
		{"acme.deploy", "acme.tools", []string{"acme.deploy", "eu"}, true, "offers the tags acme.deploy, eu"},
	} {
		require.Contains(t, core.WaitingReason(test.actionType, test.tags, test.offered, test.plugin), test.want)
	}
}
