package main

import (
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/internal/version"
	"github.com/ledgerline/ledgerline/runlog"
)

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print which build this is, and which schema it needs; needs no server", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			build := version.Read()
			if a.output == outputJSON {
				return printJSON(c.OutOrStdout(), struct {
					version.Info
					Schema int64 `json:"schema"`
				}{build, runlog.SchemaVersion()})
			}
			return say(c.OutOrStdout(), "%s, database schema %d", build.Line("starter"), runlog.SchemaVersion())
		},
	}
}
