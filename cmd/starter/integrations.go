package main

import (
	"io"
	"os"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

func (a *app) integrations() *cobra.Command {
	c := &cobra.Command{Use: "integrations", Short: "Apply, check, verify, list, pause and resume integrations", Args: noArgs}
	c.AddCommand(a.integrationsApply(), a.integrationsCheck(), a.integrationsVerify(), a.integrationsList(), a.integrationsPause(), a.integrationsResume())
	return c
}

func (a *app) integrationsList() *cobra.Command {
	var org string
	c := &cobra.Command{
		Use:   "list --org NAME",
		Short: "List an organization's integrations",
		Args:  noArgs,
		RunE: a.onOrganization(&org, func(s *session) error {
			list, err := s.list()
			if err != nil {
				return err
			}
			if len(list) == 0 && a.output != outputJSON {
				return s.say("organization %s has no integrations", s.org)
			}
			shown := make([]shownIntegration, 0, len(list))
			rows := [][]string{{"NAME", "ADAPTER", "SCHEDULE", "PAUSED", "INTEGRATION", "BASE URL"}}
			for _, in := range list {
				schedule, paused := "none", "no"
				if in.Schedule != nil {
					schedule = in.Schedule.String()
				}
				p, err := runlog.LoadPause(s.command.Context(), s.db, in.OrganizationID, in.ID)
				if err != nil {
					return err
				}
				if p != nil {
					paused = "since " + local(p.At.Local()) + " by " + p.By + ": " + p.Reason
				}
				shown = append(shown, shownIntegration{in.Shown(), p})
				rows = append(rows, []string{in.Name, in.Adapter, schedule, paused, in.ID.String(), in.BaseURL})
			}
			return a.print(s.command.OutOrStdout(), shown, rows)
		}),
	}
	organizationFlag(c, &org)
	return c
}

// shownIntegration is what integrations list prints of one.
type shownIntegration struct {
	integrations.Shown
	Paused *runlog.Pause `json:"paused,omitempty"`
}

// secretCheck is whether a secret can be read.
type secretCheck struct {
	Name       string `json:"name"` // of the integration or channel
	Adapter    string `json:"adapter"`
	Credential string `json:"credential"`
	Reference  string `json:"reference"`
	State      string `json:"state"` // yes, or no and why
}

func (a *app) integrationsCheck() *cobra.Command {
	var files []string
	c := &cobra.Command{
		Use:   "check -f FILE",
		Short: "Check a file, and whether its secrets can be read here; needs no server",
		Long: `Checks a file, and whether the secrets that it names can be read here. To see what
the worker will see, run it as the worker's user, with its LEDGERLINE_SECRETS and
LEDGERLINE_ENV_SECRETS. It needs no server.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			file, err := a.readFiles(c, files)
			if err != nil {
				return err
			}
			results := []secretCheck{}
			rows := [][]string{{"NAME", "ADAPTER", "CREDENTIAL", "REFERENCE", "READABLE HERE"}}
			store, _ := secrets.FromEnv(os.Getenv) // readFiles has checked it
			for _, r := range secretReferences(file) {
				state := "yes"
				if err := r.resolve(c.Context(), store); err != nil {
					state = "no: " + err.Error()
				}
				results = append(results, secretCheck{r.owner, r.kind, r.name, string(r.ref), state})
				rows = append(rows, []string{r.owner, r.kind, r.name, string(r.ref), state})
			}
			return a.print(c.OutOrStdout(), results, rows)
		},
	}
	c.Flags().StringSliceVarP(&files, "file", "f", nil, "integration `file`; - is standard input")
	return c
}

// readFiles reads and checks integration files; "-" is standard input.
func (a *app) readFiles(c *cobra.Command, files []string) (all integrations.File, err error) {
	if len(files) == 0 {
		return all, usage("-f is missing: want an integration file, or - for standard input")
	}
	all.Channels = make(map[uuid.UUID][]integrations.Channel)
	for _, name := range files {
		var src []byte
		if name == "-" {
			name = "stdin"
			src, err = io.ReadAll(io.LimitReader(c.InOrStdin(), 2<<20))
		} else {
			src, err = os.ReadFile(name)
		}
		if err != nil {
			return all, usage("-f: %w", err)
		}
		file, err := integrations.ParseFile(name, src, integrations.Options{DevHosts: a.devHosts})
		if err != nil {
			return all, usage("the file cannot be used:\n%w", err)
		}
		all.Integrations = append(all.Integrations, file.Integrations...)
		all.Organizations = append(all.Organizations, file.Organizations...)
		for organization, channels := range file.Channels {
			if _, twice := all.Channels[organization]; twice {
				return all, usage("%s: organization %s has a notifications section in another file too; put all of its channels in one", name, organization)
			}
			all.Channels[organization] = channels
		}
	}
	ids := make(map[uuid.UUID]string)
	for _, in := range all.Integrations {
		if other, twice := ids[in.ID]; twice {
			return all, usage("-f: integrations %s and %s have the same ID %s; give one of them another", other, in.Name, in.ID)
		}
		ids[in.ID] = in.Name
	}
	return all, checkReferences(c.ErrOrStderr(), all)
}
