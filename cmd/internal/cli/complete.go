package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/voip-push/worker/internal/voip"
)

// withCompletion adds the completion command, which cobra adds by itself as it
// runs: too late to be strict with it, and so that it prints its help whatever
// shell it is asked for.
func withCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if !c.Runnable() {
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// Values are what a shell offers for a flag.
func Values[T ~string](c *cobra.Command, flag string, values ...T) {
	must(c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(texts(values), cobra.ShellCompDirectiveNoFileComp)))
}

// OneOf refuses what none of the values of a flag is; empty is the flag left out.
func OneOf[T ~string](flag, value string, values ...T) error {
	all := texts(values)
	if value == "" || slices.Contains(all, value) {
		return nil
	}
	return Usage(fmt.Errorf("--%s %q: want one of %s", flag, value, strings.Join(all, ", ")))
}

func texts[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
}

// File lets a shell offer files for a flag.
func File(c *cobra.Command, flag string) { must(c.MarkFlagFilename(flag)) }

// Folder lets a shell offer folders for a flag.
func Folder(c *cobra.Command, flag string) { must(c.MarkFlagDirname(flag)) }

// must: a flag that does not exist is a mistake of the programmer's, and every
// test of the command shows it.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Reasons are the reasons of results, or of dead letters alone.
func Reasons(dead bool) []voip.Reason {
	var all []voip.Reason
	for _, rule := range voip.Rules() {
		if !dead || rule.Class != "" {
			all = append(all, rule.Reason)
		}
	}
	return all
}
