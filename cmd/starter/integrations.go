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
				return s.say("organization %s has no integrations; starter integrations apply -f FILE makes some", s.org)
			}
			pauses, err := runlog.ListPauses(s.command.Context(), s.db, s.organization)
			if err != nil {
				return err
			}
			listed := listIntegrations(list, pauses)
			return a.print(s.command.OutOrStdout(), listed, integrationTable(listed))
		}),
	}
	organizationFlag(c, &org)
	return c
}

// listedIntegration is what integrations list says of an integration.
type listedIntegration struct {
	integrations.Shown
	ScheduleInWords string        `json:"scheduleInWords"` // "none" without one
	Paused          *runlog.Pause `json:"paused"`          // null if it is not
}

func listIntegrations(list []integrations.Integration, pauses map[uuid.UUID]runlog.Pause) []listedIntegration {
	listed := []listedIntegration{}
	for _, in := range list {
		l := listedIntegration{Shown: in.Shown(), ScheduleInWords: "none"}
		if in.Schedule != nil {
			l.ScheduleInWords = in.Schedule.String()
		}
		if p, ok := pauses[in.ID]; ok {
			l.Paused = &p
		}
		listed = append(listed, l)
	}
	return listed
}

func integrationTable(list []listedIntegration) [][]string {
	rows := [][]string{{"NAME", "ADAPTER", "SCHEDULE", "PAUSED", "INTEGRATION", "BASE URL"}}
	for _, in := range list {
		paused := "no"
		if p := in.Paused; p != nil {
			paused = "since " + local(p.At.Local()) + " by " + p.By + ": " + p.Reason
		}
		rows = append(rows, []string{in.Name, in.Adapter, in.ScheduleInWords, paused, in.ID.String(), in.BaseURL})
	}
	return rows
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
	var read []integrations.NamedFile
	for _, name := range files {
		var src []byte
		if name == "-" {
			name = "stdin"
			src, err = io.ReadAll(io.LimitReader(c.InOrStdin(), 2<<20))
		} else {
			src, err = os.ReadFile(name)
		}
		if err != nil {
			return all, usage("-f: %w; want an integration file that this user can read, or - for standard input", err)
		}
		file, err := integrations.ParseFile(name, src, integrations.Options{DevHosts: a.devHosts})
		if err != nil {
			return all, usage("the file cannot be used:\n%w", err)
		}
		read = append(read, integrations.NamedFile{Name: name, File: file})
	}
	if all, err = integrations.Join(read); err != nil {
		return all, usage("-f: %w", err)
	}
	return all, checkReferences(c.ErrOrStderr(), all)
}
