package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/workflow"
	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// consulted are the action types of plugins that run, and the plugins themselves, which know more than a schema can say.
type consulted struct {
	types  []core.ActionType
	plugin map[string]*hostapi.Plugin // by action type
}

// answerLimit is how long a plugin may think about one spec.
const answerLimit = 10 * time.Second

// consult starts the runner plugins with these paths, calls use, and ends them.
func consult(ctx context.Context, paths []string, c *consulted, use func() error) error {
	if len(paths) == 0 {
		return use()
	}
	path, err := executable(paths[0])
	if err != nil {
		return err
	}
	var used error
	err = plugintest.Consult(ctx, plugintest.Binary(path), func(p *hostapi.Plugin) {
		used = c.add(ctx, path, p)
		if used == nil {
			used = consult(ctx, paths[1:], c, use)
		}
	})
	return errors.Join(err, used)
}

func (c *consulted) add(ctx context.Context, path string, p *hostapi.Plugin) error {
	limited, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	d, err := p.Describe(limited)
	if err != nil {
		return fmt.Errorf("ask the plugin %s what it is: %w", path, err)
	}
	types, err := typesOf(path, d)
	if err != nil {
		return err
	}
	for _, t := range types {
		c.plugin[t.Name] = p
	}
	c.types = append(c.types, types...)
	return nil
}

// checkSpec asks the plugin of an action type about a spec.
func (c *consulted) checkSpec(ctx context.Context) func(string, json.RawMessage) []workflow.SpecProblem {
	return func(actionType string, spec json.RawMessage) []workflow.SpecProblem {
		p := c.plugin[actionType]
		if p == nil {
			return nil
		}
		limited, cancel := context.WithTimeout(ctx, answerLimit)
		defer cancel()
		found, err := p.Validate(limited, &pluginapi.ValidateRequest{Type: actionType, Spec: spec})
		if err != nil {
			return []workflow.SpecProblem{{Severity: workflow.SeverityWarning, Message: "the plugin cannot check this action: " + err.Error()}}
		}
		problems := make([]workflow.SpecProblem, len(found))
		for i, d := range found {
			problems[i] = workflow.SpecProblem{Severity: workflow.SeverityError, Path: d.Path, Message: d.Message}
			if d.Severity == pluginapi.SeverityWarning {
				problems[i].Severity = workflow.SeverityWarning
			}
		}
		return problems
	}
}
