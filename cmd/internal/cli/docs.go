package cli

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Markdown is the help of a command and of all below it as one page: what
// docs/cli holds, and a test compares.
func Markdown(root *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!-- Written by `go test -update`; a test compares it with the command itself. -->\n\n")
	section(&b, root, "#")
	return b.Bytes()
}

func section(b *bytes.Buffer, c *cobra.Command, level string) {
	fmt.Fprintf(b, "%s %s\n\n", level, c.CommandPath())
	text := c.Long
	if text == "" {
		text = c.Short
	}
	fmt.Fprintf(b, "```text\n%s\n", strings.TrimSpace(text))
	if c.Runnable() {
		fmt.Fprintf(b, "\nUsage:\n  %s\n", c.UseLine())
	}
	if c.HasExample() {
		fmt.Fprintf(b, "\nExamples:\n%s\n", strings.TrimRight(c.Example, "\n"))
	}
	if c.HasAvailableLocalFlags() {
		fmt.Fprintf(b, "\nFlags:\n%s\n", strings.TrimRight(c.LocalFlags().FlagUsages(), "\n"))
	}
	b.WriteString("```\n")
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "completion" {
			b.WriteString("\n")
			section(b, sub, "##")
		}
	}
}
