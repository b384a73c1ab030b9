package core

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"
)

// ActionType is a kind of action as the plugin of a worker described it. (Name, Runner) is its key.
type ActionType struct {
	Name          string          // shell, or a third party's vendor.name
	Runner        string          // variant of the type: local, docker, pod; "" where there is only one
	Tag           string          // what a worker that runs it offers
	Workspace     string          // how the files of the workspace reach a step: "", host_dir, download
	Attachable    bool            // steps survive a restart of the worker
	SpecSchema    json.RawMessage // JSON Schema of the keys that belong to the type; nil: any keys
	Plugin        string          // that offers it, and its version
	PluginVersion string
	ChangedAt     time.Time // when it was first described like this
}

// VendorTypePattern is the regular expression of the names that third parties give to types.
const VendorTypePattern = `^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)+$`

var (
	vendorType  = regexp.MustCompile(VendorTypePattern)
	builtinType = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
)

// Vendor is the part of a type's name before the first dot; "" for types of our own.
func Vendor(actionType string) string {
	vendor, _, found := strings.Cut(actionType, ".")
	if !found {
		return ""
	}
	return vendor
}

// IsVendorType tells whether a name is one that third parties give: vendor.name, in lower case.
func IsVendorType(name string) bool { return len(name) <= 100 && vendorType.MatchString(name) }

// IsActionType tells whether an action type can be called so.
func IsActionType(name string) bool {
	return IsVendorType(name) || len(name) <= 100 && builtinType.MatchString(name)
}
