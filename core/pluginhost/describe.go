package pluginhost

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/stroem/stroem/core/schema"
	"github.com/stroem/stroem/pluginapi"
)

var (
	// typeName is what action types and their runners are called: as workflow files can name them.
	typeName = regexp.MustCompile(`^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*$`)
	tagName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
)

// maxTypeName is how long the name of an action type can be.
const maxTypeName = 100

// What a description may hold. It travels to the server with every registration of a worker, which the server refuses whole if
// there is anything in it that it does not take: so these are no wider than what it takes.
const (
	maxTypes       = 1000
	maxVersion     = 100       // bytes
	maxSpecSchema  = 256 << 10 // bytes, of one action type
	maxDescription = 2 << 20   // bytes of schemas and examples
)

// CheckDescription says why a host would not start a plugin that describes itself so, whatever its file is called.
func CheckDescription(d *pluginapi.Description) error {
	file := string(d.Kind) + "-" + d.Name
	if _, _, ok := splitName(file); !ok {
		return fmt.Errorf("a plugin cannot be called %s: it has to be <kind>-<name>, such as runner-acme.demo", file)
	}
	_, err := checkDescription(&candidate{file: file, kind: d.Kind, name: d.Name}, d)
	return err
}

// checkDescription says whether the plugin is what its file name says, and makes sense. It returns the schemas of its specs.
func checkDescription(c *candidate, d *pluginapi.Description) (specSchemas, error) {
	switch {
	case d.Kind != c.kind:
		return nil, fmt.Errorf("%s is named as a %s, but is a %s", c.binary.path(), c.kind, d.Kind)
	case d.Name != c.name:
		return nil, fmt.Errorf("%s calls itself %q: it has to be installed or configured as %s-%s", c.binary.path(), d.Name, d.Kind, d.Name)
	}
	switch size := sizeOf(d); {
	case len(d.ActionTypes) > maxTypes:
		return nil, fmt.Errorf("it describes %d action types; %d are the most", len(d.ActionTypes), maxTypes)
	case len(d.Version) > maxVersion:
		return nil, fmt.Errorf("its version has %d bytes; %d are the most", len(d.Version), maxVersion)
	case strings.ContainsFunc(d.Version, unprintable):
		return nil, errors.New("its version has characters that cannot be shown")
	case size > maxDescription:
		return nil, fmt.Errorf("its schemas and examples have %d bytes; %d are the most", size, maxDescription)
	}
	if _, err := resolve(d.ConfigSchema); err != nil {
		return nil, fmt.Errorf("schema of its configuration: %w", err)
	}
	if _, err := resolve(d.SettingsSchema); err != nil {
		return nil, fmt.Errorf("schema of its settings: %w", err)
	}
	if isRunner := d.Kind == pluginapi.KindRunner; isRunner != (len(d.ActionTypes) > 0) {
		return nil, fmt.Errorf("a %s with %d action types: runners have some, all others have none", d.Kind, len(d.ActionTypes))
	}
	seen, specs := map[actionKey]bool{}, specSchemas{}
	for _, t := range d.ActionTypes {
		if got, own := vendor(t.Name), vendor(d.Name); got != own {
			return nil, fmt.Errorf("action type %v: a plugin called %s can only have types called %s", keyOf(t), d.Name, pattern(own))
		}
		spec, err := checkActionType(t)
		if err != nil {
			return nil, fmt.Errorf("action type %v: %w", keyOf(t), err)
		}
		if seen[keyOf(t)] {
			return nil, fmt.Errorf("action type %v: described twice", keyOf(t))
		}
		seen[keyOf(t)] = true
		if spec != nil {
			specs[keyOf(t)] = &specSchema{spec, t.SpecSchema}
		}
	}
	return specs, nil
}

// vendor is whose a plugin or an action type is: the part of its name before the first dot; "" is ours.
func vendor(name string) string {
	vendor, _, found := strings.Cut(name, ".")
	if !found {
		return ""
	}
	return vendor
}

func pattern(vendor string) string {
	if vendor == "" {
		return "without a dot; third parties call plugin and types vendor.name"
	}
	return vendor + ".name"
}

func sizeOf(d *pluginapi.Description) int {
	size := len(d.ConfigSchema) + len(d.SettingsSchema)
	for _, t := range d.ActionTypes {
		size += len(t.SpecSchema)
		for _, example := range t.Examples.ByName() {
			size += len(*example)
		}
	}
	return size
}

// checkActionType returns the schema of the type's specs, nil if it has none.
func checkActionType(t pluginapi.ActionType) (*schema.Schema, error) {
	switch {
	case !typeName.MatchString(t.Name) || len(t.Name) > maxTypeName:
		return nil, fmt.Errorf("%q is not a name for it: a type is called vendor.name, in lower case", t.Name)
	case t.Runner != "" && vendor(t.Name) != "":
		return nil, errors.New("types of third parties have no variants")
	case t.Runner != "" && !typeName.MatchString(t.Runner):
		return nil, fmt.Errorf("%q is not a name for its runner", t.Runner)
	case !tagName.MatchString(t.Tag):
		return nil, fmt.Errorf("%q is not a tag", t.Tag)
	case len(t.SpecSchema) > maxSpecSchema:
		return nil, fmt.Errorf("its schema has %d bytes; %d are the most", len(t.SpecSchema), maxSpecSchema)
	}
	spec, err := resolve(t.SpecSchema)
	if err != nil {
		return nil, fmt.Errorf("schema of its spec: %w", err)
	}
	return spec, nil
}

// resolve makes a schema ready; without one it returns nil.
func resolve(text json.RawMessage) (*schema.Schema, error) {
	if len(text) == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	return schema.Resolve(text)
}

// actionKey is what decides which plugin executes an action.
type actionKey struct{ name, runner string }

func keyOf(t pluginapi.ActionType) actionKey { return actionKey{t.Name, t.Runner} }

func (k actionKey) String() string {
	if k.runner == "" {
		return k.name
	}
	return fmt.Sprintf("%s (runner %s)", k.name, k.runner)
}
