package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Markdown is the help of a command and of all below it as one page: what
// docs/cli holds, and a test compares. Every verb shows an example of its use.
func Markdown(root *cobra.Command) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!-- Written by `go test -update`; a test compares it with the command itself. -->\n\n")
	err := errors.Join(section(&b, root, "#"), completion(&b, root))
	return b.Bytes(), err
}

// completion is what cobra says of the command that it adds by itself. How each
// shell is told, which is most of a page, is in the shells' own help.
func completion(b *bytes.Buffer, root *cobra.Command) error {
	withCompletion(root)
	c, _, err := root.Find([]string{"completion"})
	if err == nil {
		fmt.Fprintf(b, "\n## %s\n\n```text\n%s\n\n%s```\n", c.CommandPath(), strings.TrimSpace(c.Long), c.UsageString())
	}
	return err
}

func section(b *bytes.Buffer, c *cobra.Command, level string) error {
	if !c.HasExample() && !c.HasAvailableSubCommands() {
		return fmt.Errorf("%s has no example", c.CommandPath())
	}
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
			if err := section(b, sub, "##"); err != nil {
				return err
			}
		}
	}
	return nil
}
