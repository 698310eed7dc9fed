package cli

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Markdown is the help of a command and of all below it as one page: what
// docs/cli holds, and a test compares. Every verb shows an example of its use.
func Markdown(root *cobra.Command) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!-- Written by `go test -update`; a test compares it with the command itself. -->\n\n")
	err := section(&b, root, "#")
	fmt.Fprintf(&b, completion, root.Name())
	return b.Bytes(), err
}

// completion stands for what cobra itself has to say of it, at length.
const completion = "\n## %[1]s completion\n\n```text\nPrint what completes commands, flags and their values in a shell: bash (with its\npackage bash-completion), zsh, fish or powershell.\n\n" +
	"Usage:\n  %[1]s completion SHELL\n\n" +
	"Examples:\n  source <(%[1]s completion bash)\n  %[1]s completion zsh > \"${fpath[1]}/_%[1]s\"\n" +
	"  %[1]s completion fish > ~/.config/fish/completions/%[1]s.fish\n```\n"

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
