package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/workflows"
)

// verification is the result of checking one integration.
type verification struct {
	Integration string           `json:"integration"`
	Adapter     string           `json:"adapter"`
	Checks      []adapters.Check `json:"checks"`
	Message     string           `json:"message,omitempty"` // why the vendor could not be asked
}

func (v verification) differs() bool {
	return v.Message != "" || len(adapters.Contract{Checks: v.Checks}.Differing()) > 0
}

func (a *app) integrationsVerify() *cobra.Command {
	var org, integration string
	c := &cobra.Command{
		Use: "verify [NAME] --org NAME", Short: "Ask the vendors whether they are as exports need them", Args: integrationArgument(&integration, false),
		Long: `Asks the vendors of an organization's integrations, or of one, whether they have
everything that an export needs: that the token works; mutation, fields, look-ups
and errors at Xledger; table, columns, their types and the alternate key at
Dataverse; company, journal and general ledger at Business Central. A worker asks,
since it has the secrets, with requests that change nothing. They count as look-ups.

The state of a line is checked (the vendor says that it is so), differs (it is not,
and an export would be refused: the remedy is beside it) or assumed (the vendor does
not say). It is "not asked" if the vendor could not be asked, for example because
the integration is paused. Workers use what they know of an integration for up to
10 s: after starter integrations apply, wait that long. A run makes the same checks
before an integration's first export and after its file has changed, and does not
begin if something differs.

Exits 1 if something differs, or a vendor could not be asked.`,
		Example: "  starter integrations verify --org $ORG --integration xledger-main",
		RunE: a.onOrganization(&org, func(s *session) (err error) {
			var list []integrations.Integration
			if integration == "" {
				list, err = s.list()
			} else if err = s.find(integration); err == nil {
				list = append(list, s.integration)
			}
			if err != nil {
				return err
			}
			if len(list) == 0 {
				return fmt.Errorf("organization %s has no integrations; starter integrations apply -f FILE makes some", s.org)
			}
			if err := s.connect(); err != nil {
				return err
			}
			all := make([]verification, len(list))
			for i, in := range list {
				s.say("asking the vendor of %s; a worker does that", in.Name)
				if all[i], err = verify(s.command.Context(), s.temporal, in); err != nil {
					return err
				}
			}
			return a.printVerifications(s.command.OutOrStdout(), all)
		}),
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&integration, "integration", "", "only this one, by `name` or UUID")
	return c
}

// verify makes a worker check the contract with an integration's vendor.
func verify(ctx context.Context, temporal client.Client, spec integrations.Integration) (verification, error) {
	v := verification{Integration: spec.Name, Adapter: spec.Adapter, Checks: []adapters.Check{}}
	in := engine.NewInvocation(spec, adapters.Verify, nil)
	in.Policy, in.Actor, in.ReadOnly, in.Summary = workflows.VerifyPolicy(), whoami(), true, "the contract with the vendor"
	out, err := engine.Execute(ctx, temporal, in)
	switch {
	case err != nil:
		return v, err
	case !out.OK:
		v.Message = out.Failure.Message
		return v, nil
	}
	var contract adapters.Contract
	if err := json.Unmarshal(out.Response.Body, &contract); err != nil {
		return v, fmt.Errorf("the worker's answer: %w", err)
	}
	v.Checks = contract.Checks
	return v, nil
}

// printVerifications prints the checks. Something that differs is an error.
func (a *app) printVerifications(w io.Writer, all []verification) error {
	bad := 0
	for _, v := range all {
		if v.differs() {
			bad++
		}
	}
	err := a.print(w, all, verificationTable(all))
	if err == nil && bad > 0 {
		err = fmt.Errorf("%d of %s failed: the vendor differs from what exports need, or could not be asked", bad, count(len(all), "integration"))
	}
	return err
}

func verificationTable(all []verification) [][]string {
	rows := [][]string{{"INTEGRATION", "WHAT", "STATE", "FOUND", "REMEDY"}}
	for _, v := range all {
		for _, c := range v.Checks {
			rows = append(rows, []string{v.Integration, c.What, string(c.State), dash(c.Found), dash(c.Remedy)})
		}
		if v.Message != "" {
			rows = append(rows, []string{v.Integration, "vendor", "not asked", v.Message, "fix what FOUND says, and ask again"})
		}
	}
	return rows
}
