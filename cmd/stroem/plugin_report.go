package main

import (
	"fmt"
	"strings"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// checkReport is what a check found out, as JSON.
type checkReport struct {
	Path       string         `json:"path"`
	Kind       pluginapi.Kind `json:"kind"`
	Name       string         `json:"name"`
	Version    string         `json:"version"`
	Passed     int            `json:"passed"`
	Failed     int            `json:"failed"`
	NotCovered int            `json:"not_covered"`
	Cases      []checkedCase  `json:"cases"`
}

type checkedCase struct {
	Case     string          `json:"case"`
	Rule     plugintest.Rule `json:"rule"`
	Status   string          `json:"status"` // passed, failed or not_covered
	Seconds  float64         `json:"seconds"`
	Failures []brokenRule    `json:"failures,omitempty"`
	Needs    string          `json:"needs,omitempty"` // what to add so that the case can run
	Log      []string        `json:"log,omitempty"`
}

// brokenRule is a rule that a case found broken, and how.
type brokenRule struct {
	plugintest.Rule
	Message string `json:"message"`
}

func newCheckReport(path string, d *pluginapi.Description) *checkReport {
	return &checkReport{Path: path, Kind: d.Kind, Name: d.Name, Version: d.Version, Cases: []checkedCase{}}
}

func (r *checkReport) add(outcomes []plugintest.Outcome) {
	for _, o := range outcomes {
		c := checkedCase{
			Case: o.Case, Rule: o.Rule, Status: strings.ReplaceAll(string(o.Status), " ", "_"), Seconds: o.Took.Seconds(),
			Needs: o.Needs, Log: o.Log,
		}
		switch o.Status {
		case plugintest.Passed:
			r.Passed++
		case plugintest.Failed:
			r.Failed++
		case plugintest.NotCovered:
			r.NotCovered++
		}
		for _, f := range o.Failures {
			c.Failures = append(c.Failures, brokenRule{f.Rule, f.Message})
		}
		r.Cases = append(r.Cases, c)
	}
}

func (a *app) printCheckTitle(r *checkReport) error {
	if a.out.structured() {
		return nil
	}
	return a.out.line(printable(fmt.Sprintf("%s is the %s %s, version %s.\n", r.Path, r.Kind, r.Name, r.Version)))
}

// printCheck writes what failed, with the rules, and what is not covered, with what to add.
func (a *app) printCheck(r *checkReport) error {
	if a.out.structured() {
		return a.out.document(r)
	}
	var lines []string
	for _, c := range r.Cases {
		if c.Status != "failed" {
			continue
		}
		lines = append(lines, "", a.out.paint("31", "FAIL")+"  "+c.Case)
		for _, f := range c.Failures {
			lines = append(lines, "  "+f.ID+": "+indented(f.Message), "    The rule: "+f.Text)
		}
		for _, text := range c.Log {
			lines = append(lines, "    "+indented(text))
		}
	}
	if r.NotCovered > 0 {
		lines = append(lines, "", "Not covered:")
	}
	for _, c := range r.Cases {
		if c.Status == "not_covered" {
			lines = append(lines, fmt.Sprintf("  %s (%s): add %s", c.Case, c.Rule.ID, c.Needs))
		}
	}
	lines = append(lines, "", fmt.Sprintf("%d passed, %d failed, %d not covered", r.Passed, r.Failed, r.NotCovered))
	return a.out.line(strings.Join(lines, "\n"))
}

// indented is text from elsewhere, with its further lines below the first.
func indented(text string) string {
	return strings.ReplaceAll(printable(strings.TrimSpace(text)), "\n", "\n      ")
}
