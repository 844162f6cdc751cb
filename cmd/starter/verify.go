package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/workflows"
)

// verification is what came of checking one integration.
type verification struct {
	Integration string           `json:"integration"`
	Adapter     string           `json:"adapter"`
	Checks      []adapters.Check `json:"checks"`
	Error       string           `json:"error,omitempty"` // why the vendor could not be asked
}

func (v verification) differs() bool {
	return v.Error != "" || len(adapters.Contract{Checks: v.Checks}.Differing()) > 0
}

func (a *app) integrationsVerify() *cobra.Command {
	var org, integration string
	c := &cobra.Command{
		Use: "verify --org UUID", Short: "Check live whether the vendors are as exports need them", Args: noArgs,
		Long: `Asks the vendors of an organization's integrations, or of one, whether everything
is there that an export needs: that the token works; mutation, fields, look-ups
and errors at Xledger; table, columns, their types and the alternate key at
Dataverse; company, journal and general ledger at Business Central. A worker asks,
since it has the secrets, with requests that change nothing. They count as look-ups.

Each line is checked (the vendor says that it is so), differs (it is not, and an
export would be refused: the remedy is beside it) or assumed (the vendor does
not say); not asked is an integration whose vendor could not be asked, such as one
that is paused. Workers use what they know of an integration for up to 10 s: wait so
long after starter integrations apply. A run does the same before an integration's first export and after its
file has changed, and does not begin if something differs.

Exits 1 if something differs, or a vendor could not be asked.`,
		Example: "  starter integrations verify --org $ORG --integration xledger-main",
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
			organization, pool, err := a.organization(c, org)
			if err != nil {
				return err
			}
			defer pool.Close()
			var list []integrations.Integration
			if integration == "" {
				list, err = listIntegrations(c, pool, organization)
			} else {
				list = make([]integrations.Integration, 1)
				list[0], err = findIntegration(ctx, pool, organization, integration)
			}
			if err != nil {
				return err
			}
			if len(list) == 0 {
				return fmt.Errorf("organization %s has no integrations", organization)
			}
			temporal, _, err := a.temporal(ctx)
			if err != nil {
				return err
			}
			defer temporal.Close()
			all := make([]verification, len(list))
			bad := 0
			for i, spec := range list {
				say(c.ErrOrStderr(), "asking the vendor of %s; a worker does that", spec.Name)
				if all[i], err = verify(ctx, temporal, spec); err != nil {
					return err
				}
				if all[i].differs() {
					bad++
				}
			}
			if a.output == "json" {
				err = printJSON(c.OutOrStdout(), all)
			} else {
				err = verificationTable(c.OutOrStdout(), all)
			}
			if err == nil && bad > 0 {
				err = fmt.Errorf("%d of %d integrations are not as exports need them, or could not be asked", bad, len(all))
			}
			return err
		},
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&integration, "integration", "", "only this one, by `name` or UUID")
	return c
}

// verify has a worker check the contract with an integration's vendor.
func verify(ctx context.Context, temporal client.Client, spec integrations.Integration) (verification, error) {
	v := verification{Integration: spec.Name, Adapter: spec.Adapter, Checks: []adapters.Check{}}
	out, err := engine.Execute(ctx, temporal, activities.Invocation{
		OrganizationID: spec.OrganizationID, IntegrationID: spec.ID, AdapterName: spec.Adapter, CorrelationID: uuid.New(),
		Operation: adapters.Verify, Policy: workflows.VerifyPolicy(), Actor: whoami(), ReadOnly: true,
		OwnQueue: spec.Limits.OwnQueue(), Summary: "the contract with the vendor",
	})
	switch {
	case err != nil:
		return v, err
	case !out.OK:
		v.Error = out.Failure.Message
		return v, nil
	}
	var contract adapters.Contract
	if err := json.Unmarshal(out.Response.Body, &contract); err != nil {
		return v, fmt.Errorf("the worker's answer: %w", err)
	}
	v.Checks = contract.Checks
	return v, nil
}

func verificationTable(w io.Writer, all []verification) error {
	rows := [][]string{{"INTEGRATION", "WHAT", "STATE", "FOUND", "REMEDY"}}
	for _, v := range all {
		for _, c := range v.Checks {
			rows = append(rows, []string{v.Integration, c.What, string(c.State), dash(c.Found), dash(c.Remedy)})
		}
		if v.Error != "" {
			rows = append(rows, []string{v.Integration, "vendor", "not asked", v.Error, "do what is found says, and ask again"})
		}
	}
	return table(w, rows)
}
