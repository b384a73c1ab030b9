package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/stroem/stroem/core/workflow"
)

// Formats of problems.
const (
	formatText   = "text"
	formatGitHub = "github"
)

func (a *app) printReports(reports []report, format string) error {
	if a.out.structured() {
		return a.out.document(reports)
	}
	var lines []string
	for _, r := range reports {
		if format == formatGitHub {
			for _, p := range r.Problems {
				lines = append(lines, annotation(p))
			}
			continue
		}
		mark := a.out.paint("32", "[OK]")
		if !r.Valid {
			mark = a.out.paint("31", "[FAIL]")
		}
		lines = append(lines, mark+" "+r.Path)
		for _, p := range r.Problems {
			lines = append(lines, a.out.problem(p))
		}
	}
	if errs, warnings := count(reports); errs+warnings > 0 || len(reports) > 1 {
		lines = append(lines, summary(errs, warnings))
	}
	if len(lines) == 0 {
		return nil
	}
	return a.out.line(strings.Join(lines, "\n"))
}

// summary says how many problems there are.
func summary(errs, warnings int) string {
	switch {
	case errs+warnings == 0:
		return "No problems."
	case warnings == 0:
		return plural(errs, "error") + "."
	case errs == 0:
		return plural(warnings, "warning") + "."
	}
	return plural(errs, "error") + ", " + plural(warnings, "warning") + "."
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// problem is the form that editors and compilers use: file:line:column: severity: message.
func (p *printer) problem(one problem) string {
	colour := "33"
	if one.Severity == workflow.SeverityError {
		colour = "31"
	}
	place := one.File
	if one.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", one.File, one.Line, one.Column)
	}
	if place != "" {
		place += ": "
	}
	return printable(place) + p.paint(colour, string(one.Severity)) + ": " + printable(one.Message)
}

// annotation is a problem as a workflow command of GitHub Actions, which shows it at the line in the pull request.
func annotation(p problem) string {
	var properties []string
	if p.File != "" {
		properties = append(properties, "file="+escapeProperty(inRepository(p.File)))
	}
	if p.Line > 0 {
		properties = append(properties, fmt.Sprintf("line=%d,col=%d", p.Line, p.Column))
	}
	command := "::" + string(p.Severity)
	if len(properties) > 0 {
		command += " " + strings.Join(properties, ",")
	}
	return command + "::" + escapeData(p.Message)
}

// inRepository is the path in the repository's check-out, from which GitHub counts, or what was given where that is not it.
func inRepository(path string) string {
	if root := os.Getenv("GITHUB_WORKSPACE"); root != "" {
		if relative, err := filepath.Rel(root, absolute(path)); err == nil && filepath.IsLocal(relative) {
			path = relative
		}
	}
	return filepath.ToSlash(path)
}

var (
	dataEscapes     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func escapeData(text string) string { return dataEscapes.Replace(text) }

func escapeProperty(text string) string { return propertyEscapes.Replace(text) }
