package core

import (
	"fmt"
	"slices"
	"strings"
)

// WaitingReason says why no active worker can run a ready step. Tags are those that the step requires, its type's first;
// offered tells whether an active worker has that one, and plugin which plugin has described the type, if any has.
func WaitingReason(actionType string, tags []string, offered bool, plugin string) string {
	if IsVendorType(actionType) && !offered {
		missing := "none was ever here"
		if plugin != "" {
			missing = "it comes with the plugin " + plugin
		}
		return fmt.Sprintf("No active worker runs actions of type %s: start one with a plugin that does (%s)", actionType, missing)
	}
	return fmt.Sprintf("No active worker offers the tags %s: start one that does, or change the tags of the action",
		strings.Join(slices.Sorted(slices.Values(tags)), ", "))
}
