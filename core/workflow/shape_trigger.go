package workflow

import (
	"regexp"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/cron"
)

// Kinds of triggers.
const (
	triggerScheduler = "scheduler"
	triggerWebhook   = "webhook"
)

var triggerTypes = []string{triggerScheduler, triggerWebhook}

var (
	triggerType = field("type", "scheduler or webhook.", oneOf("trigger type", triggerTypes...), func(t *core.Trigger) *string { return &t.Type }).required()
	triggerTask = field("task", "The task to run.", text, func(t *core.Trigger) *string { return &t.Task }).required()
	triggerIn   = field("input", "Input of the job; not a template.", freeMap("input"), func(t *core.Trigger) *map[string]any { return &t.Input })
	triggerOn   = field("enabled", "false switches the trigger off.", boolean, func(t *core.Trigger) *bool { return &t.Enabled })
)

var schedulerKeys = []key[core.Trigger]{
	triggerType, triggerTask,
	field("cron", "5 fields (minute hour day month weekday), or 6 with seconds in front.", cronText, func(t *core.Trigger) *string { return &t.Cron }).required(),
	field("timezone", "Time zone of the cron fields, like Europe/Oslo; UTC by default.", timezone, func(t *core.Trigger) *string { return &t.Timezone }),
	triggerIn, triggerOn,
}

var webhookKeys = []key[core.Trigger]{
	triggerType, triggerTask,
	field("name", "Last part of the webhook's URL.", webhookName, func(t *core.Trigger) *string { return &t.Name }).required(),
	field("secret", "What a caller has to know; may be a template: {{ secret.name }}.", webhookSecret, func(t *core.Trigger) *string { return &t.Secret }),
	triggerIn, triggerOn,
}

// trigger is a map whose keys depend on its type.
var trigger = shape[core.Trigger]{
	null:   nullEmpty,
	schema: &jsonschema.Schema{Ref: "#/$defs/trigger"},
	read: func(r *reader, n *yaml.Node) core.Trigger {
		t := core.Trigger{Enabled: true}
		pairs, ok := r.mapping(n, "a trigger")
		if !ok {
			return t
		}
		what, keys := "", []key[core.Trigger](nil)
		switch typeNode := child(n, "type"); typeNode.Value {
		case triggerScheduler:
			what, keys = "a scheduler trigger", schedulerKeys
		case triggerWebhook:
			what, keys = "a webhook trigger", webhookKeys
		default: // the other keys make no sense without a type
			readKeys(r, n, "a trigger", []key[core.Trigger]{triggerType}, pairs, &t)
			return t
		}
		for _, unknown := range readKeys(r, n, what, keys, pairs, &t) {
			r.unknownKey(unknown, what, keyNames(keys))
		}
		return t
	},
}

// cronText is a cron expression that fires sooner or later.
var cronText = shape[string]{
	schema: &jsonschema.Schema{Type: "string", Pattern: `^\s*[^\s@=]+(\s+[^\s@=]+){4,5}\s*$`},
	read: func(r *reader, n *yaml.Node) string {
		expression, ok := r.text(n)
		if !ok {
			return ""
		}
		schedule, err := cron.Parse(expression)
		switch {
		case err != nil:
			r.errorf(n, "bad cron expression '%s': %s", expression, err)
		case schedule.Next(r.now).IsZero():
			r.errorf(n, "the cron expression '%s' never fires in the next five years", expression)
		}
		return expression
	},
}

var timezone = shape[string]{
	schema: text.schema,
	read: func(r *reader, n *yaml.Node) string {
		name, ok := r.text(n)
		if !ok {
			return ""
		}
		if _, err := time.LoadLocation(name); err != nil || name == "Local" || name == "" {
			r.errorf(n, "unknown time zone '%s': write a name like Europe/Oslo or UTC", name)
		}
		return name
	},
}

var webhookNames = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

var webhookName = shape[string]{
	schema: &jsonschema.Schema{Types: []string{"string", "number", "boolean"}, Pattern: webhookNames.String()},
	read: func(r *reader, n *yaml.Node) string {
		name, ok := r.text(n)
		if ok && (len(name) > maxName || !webhookNames.MatchString(name)) {
			r.errorf(n, "'%s' is not a valid webhook name: it consists of up to %d letters, digits, _ and -", name, maxName)
		}
		return name
	},
}

var webhookSecret = shape[string]{
	null:   nullRead, // no value is as dangerous as an empty text
	schema: &jsonschema.Schema{Types: []string{"string", "number", "boolean"}, MinLength: new(1)},
	read: func(r *reader, n *yaml.Node) string {
		secret, ok := r.text(n)
		if ok && secret == "" {
			r.errorf(n, "the secret is empty, which would let everybody in: give it a value, or leave the key out to do without")
		}
		return secret
	},
}
