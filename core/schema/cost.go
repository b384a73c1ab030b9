package schema

import (
	"fmt"
	"strconv"
)

// maxCost bounds the checks of one value against one schema. Schemas that describe trees with alternatives double the number
// with each level of the tree.
const maxCost = 1_000_000

// node is a part of a schema as far as it says what else is looked at.
type node struct {
	same     []*node          // at the value itself
	property map[string]*node // at a property of the value
	every    []*node          // at every property
	names    []*node          // at every property's name
	prefix   []*node          // at the item of the same number
	items    []*node          // at every item
}

// compiler turns a schema, which walk has found to be finite, into nodes.
type compiler struct {
	*walk
	nodes map[string]*node // by JSON Pointer
}

// Where the schemas of these keywords apply; those in sameValue apply to the value itself.
var (
	everyProperty = []string{"patternProperties", "additionalProperties", "unevaluatedProperties"}
	everyItem     = []string{"items", "additionalItems", "contains", "unevaluatedItems"}
)

func (c *compiler) node(at string, value any) *node {
	object, ok := value.(map[string]any)
	if !ok {
		return nil // true, false, or no schema
	}
	if known := c.nodes[at]; known != nil {
		return known
	}
	n := &node{}
	c.nodes[at] = n
	if ref, ok := object["$ref"].(string); ok {
		if target, value, err := c.follow(ref); err == nil {
			n.same = c.add(n.same, target, value)
		}
	}
	for _, key := range sameValue {
		n.same = c.all(n.same, at+"/"+key, object[key])
	}
	if properties, ok := object["properties"].(map[string]any); ok {
		n.property = make(map[string]*node, len(properties))
		for name, schema := range properties {
			if below := c.node(at+"/properties/"+escape(name), schema); below != nil {
				n.property[name] = below
			}
		}
	}
	for _, key := range everyProperty {
		n.every = c.all(n.every, at+"/"+key, object[key])
	}
	n.names = c.all(n.names, at+"/propertyNames", object["propertyNames"])
	if prefix, ok := object["prefixItems"].([]any); ok {
		for i, schema := range prefix {
			n.prefix = append(n.prefix, c.node(at+"/prefixItems/"+strconv.Itoa(i), schema))
		}
	}
	for _, key := range everyItem {
		n.items = c.all(n.items, at+"/"+key, object[key])
	}
	return n
}

func (c *compiler) add(to []*node, at string, value any) []*node {
	if n := c.node(at, value); n != nil {
		return append(to, n)
	}
	return to
}

// all adds a schema, and those that may be in it as in a list or map of schemas: one too many does no harm.
func (c *compiler) all(to []*node, at string, value any) []*node {
	switch value := value.(type) {
	case []any:
		for i, element := range value {
			to = c.add(to, at+"/"+strconv.Itoa(i), element)
		}
	case map[string]any:
		if mapOfSchemas(at) {
			for key, element := range value {
				to = c.add(to, at+"/"+escape(key), element)
			}
			return to
		}
		to = c.add(to, at, value)
	}
	return to
}

// counter counts the checks of a value.
type counter struct {
	known map[pair]float64
	pairs int
}

type pair struct {
	node  *node
	value int // number of the value
}

// value is a part of the value that is checked.
type value struct {
	number int
	object map[string]*value
	list   []*value
}

func newValue(v any, next *int) *value {
	n := &value{number: *next}
	*next++
	switch v := v.(type) {
	case map[string]any:
		n.object = make(map[string]*value, len(v))
		for key, below := range v {
			n.object[key] = newValue(below, next)
		}
	case []any:
		n.list = make([]*value, len(v))
		for i := range v {
			n.list[i] = newValue(v[i], next)
		}
	}
	return n
}

// leaf stands for the name of a property.
var leaf = &value{number: -1}

// cost is how many checks a schema makes of a value; it may be huge, and is then found at once all the same.
func (c *counter) cost(n *node, v *value) float64 {
	if n == nil || c.pairs > maxCost {
		return 1
	}
	key := pair{n, v.number}
	if known, ok := c.known[key]; ok {
		return known
	}
	c.pairs++
	total := 1.0
	for _, below := range n.same {
		total += c.cost(below, v)
	}
	for name, part := range v.object {
		total += c.cost(n.property[name], part)
		for _, below := range n.every {
			total += c.cost(below, part)
		}
		for _, below := range n.names {
			total += c.cost(below, leaf)
		}
	}
	for i, part := range v.list {
		if i < len(n.prefix) {
			total += c.cost(n.prefix[i], part)
		}
		for _, below := range n.items {
			total += c.cost(below, part)
		}
	}
	c.known[key] = total
	return total
}

// affordable refuses a value of which the schema makes too many checks.
func (s *Schema) affordable(v any) error {
	next := 0
	c := &counter{known: map[pair]float64{}}
	if total := c.cost(s.cost, newValue(v, &next)); total > maxCost || c.pairs > maxCost {
		return fmt.Errorf("it takes more than %d checks to hold this value against its schema: make it smaller or less nested", maxCost)
	}
	return nil
}
