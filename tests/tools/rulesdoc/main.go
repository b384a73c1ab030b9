// Command rulesdoc writes the rules of the conformance suite as Markdown.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/stroem/stroem/pluginapi/plugintest"
)

// headings are those of the groups, by what the ids of their rules begin with.
var headings = map[string]string{
	"plugin": "Every plugin", "runner": "Runners", "source": "Sources", "logstore": "Log stores",
}

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "rulesdoc:", err)
		os.Exit(1)
	}
}

func write(to io.Writer) error {
	w := bufio.NewWriter(to)
	_, _ = w.WriteString(`# Rules

<!-- Made by make generate from pluginapi/plugintest. Do not edit. -->

What the conformance suite checks. ` + "`stroem plugin check`" + ` and the Go tests name the rule that a plugin breaks.
`) // errors of this and what follows come out of Flush
	group := ""
	for _, rule := range plugintest.Rules() {
		if prefix, _, _ := strings.Cut(rule.ID, "/"); prefix != group {
			group = prefix
			_, _ = fmt.Fprintf(w, "\n## %s\n\n| rule | |\n|---|---|\n", headings[group])
		}
		_, _ = fmt.Fprintf(w, "| `%s` | %s |\n", rule.ID, rule.Text)
	}
	return w.Flush()
}
