package cli

import (
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/internal/voip"
)

// Values are what a shell offers for a flag.
func Values[T ~string](c *cobra.Command, flag string, values ...T) {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	must(c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(all, cobra.ShellCompDirectiveNoFileComp)))
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
