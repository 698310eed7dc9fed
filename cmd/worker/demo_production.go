//go:build production

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newDemo() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Not in this build: it holds neither a broker nor a Call Kit model",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("this build holds neither a broker nor a Call Kit model; run the demo from a checkout: make demo")
		},
	}
}
