package activities

import (
	"context"
	"strings"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// ruleContract marks the attempt of a run that does not begin, because the vendor
// is not as its exports need it.
const ruleContract = "contract:differs"

// verify checks the contract with a vendor. Its answer is the [adapters.Contract].
func (a *Activities) verify(ctx context.Context, in Invocation, adapter adapters.Adapter, conn *adapters.Conn, spec integrations.Integration) (out outcome) {
	out.guard = adapters.ReadOnly
	contract, v := a.contract(ctx, in, adapter, conn, spec)
	out.refusal = contract.Refusal
	return out.answered(contract, v)
}

// verifyBefore is verify as the first step of a run: what differs ends it.
func (x chunkAttempt) verifyBefore(ctx context.Context) (out outcome) {
	out.guard = adapters.ReadOnly
	contract, v := x.contract(ctx, x.in, x.exporter, x.conn, x.spec)
	out.refusal = contract.Refusal
	if list := contract.Differing(); v.Class == classify.Success && len(list) > 0 {
		v = classify.NewVerdict(classify.Configuration, ruleContract, "the vendor is not as exports need it: "+describeChecks(list)+"; see starter integrations verify")
	}
	out.verdict, out.answer = v, Answer{HTTPStatus: v.HTTPStatus}
	return out
}

// contract checks a vendor's contract, with requests that change nothing, and stores it.
// There is none unless the verdict is a success.
func (a *Activities) contract(ctx context.Context, in Invocation, adapter adapters.Adapter, conn *adapters.Conn, spec integrations.Integration) (adapters.Contract, classify.Verdict) {
	verifier, ok := adapter.(adapters.Verifier)
	if !ok {
		return adapters.Contract{}, classify.NewVerdict(classify.Configuration, "verify:adapter", "adapter "+spec.Adapter+" has no exports whose contract could be checked")
	}
	contract, v := verifyVendor(ctx, verifier, conn, adapters.Requirements{Dimensions: spec.Export.Fields()})
	v.Effect = ""
	if v.Class != classify.Success {
		return adapters.Contract{}, v
	}
	if err := adapter.Vendor().NeedSettings(spec.Settings); err != nil {
		contract.Add("settings for exports", adapters.Assumed, "not complete, so no more was asked", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if err := runlog.RecordContract(ctx, a.options.DB, spec.OrganizationID, spec.ID, spec.ContractFile(), contract); err != nil {
		return adapters.Contract{}, a.storeVerdict(in, "RecordContract", "verify:record", "the vendor has answered and this could not be recorded", err)
	}
	return contract, v
}

// describeChecks puts checks in one line: what differs, and the remedy of the first.
func describeChecks(list []adapters.Check) string {
	var all []string
	for i, c := range list {
		said := c.What
		if c.Found != "" {
			said += ": " + c.Found
		}
		if i == 0 && c.Remedy != "" {
			said += " (" + c.Remedy + ")"
		}
		all = append(all, said)
	}
	return strings.Join(all, "; ")
}
