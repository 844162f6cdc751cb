package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
)

// RuleContract marks the attempt of a run that does not begin, because the vendor
// is not as its exports need it.
const RuleContract = "contract:differs"

// verify checks the contract with a vendor, with requests that change nothing, and
// keeps what was found. Its answer is the [adapters.Contract].
func (a *Activities) verify(ctx context.Context, adapter adapters.Adapter, conn *adapters.Conn, spec integrations.Integration) (out outcome) {
	out.guard = adapters.ReadOnly
	verifier, ok := adapter.(adapters.Verifier)
	if !ok {
		out.verdict = adapters.Fault(classify.Configuration, "verify:adapter", "adapter "+spec.Adapter+" has no exports whose contract could be checked")
		return out
	}
	back := conn.For(limits.Lookup)
	contract, v := verifier.Verify(ctx, conn, adapters.Wanted{Dimensions: spec.Export.Fields()})
	back()
	v.Effect = ""
	if out.verdict = v; v.Class != classify.Success {
		return out
	}
	if err := adapter.Vendor().NeedSettings(spec.Settings); err != nil {
		contract.Add("settings for exports", adapters.Assumed, "not complete, so no more was asked", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	r := redact.New(conn.Secrets()...)
	for i := range contract.Checks {
		c := &contract.Checks[i]
		c.What, c.Found, c.Remedy = r.Text(c.What), r.Text(c.Found), r.Text(c.Remedy)
	}
	if err := runlog.RecordContract(ctx, a.DB, spec.OrganizationID, spec.ID, spec.ContractFile(), contract); err != nil {
		out.verdict = adapters.Fault(classify.Dependency, "verify:record", fmt.Sprintf("the vendor has answered and this could not be recorded: %v", err))
		return out
	}
	body, err := json.Marshal(contract)
	if err != nil {
		out.verdict = adapters.Fault(classify.Internal, "verify:answer", err.Error())
		return out
	}
	out.answer = Answer{HTTPStatus: v.HTTPStatus, Body: body}
	return out
}

// verifyBefore is verify as the first step of a run: what differs ends it.
func (x chunkAttempt) verifyBefore(ctx context.Context) (out outcome) {
	if _, ok := x.exporter.(adapters.Verifier); !ok {
		out.verdict = classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: RuleSettled}
		return out
	}
	out = x.verify(ctx, x.exporter, x.conn, x.spec)
	if out.verdict.Class != classify.Success {
		return out
	}
	var contract adapters.Contract
	if err := json.Unmarshal(out.answer.Body, &contract); err != nil {
		out.verdict = adapters.Fault(classify.Internal, "verify:answer", err.Error())
		return out
	}
	if list := contract.Differing(); len(list) > 0 {
		out.verdict = adapters.Fault(classify.Configuration, RuleContract, "the vendor is not as exports need it: "+Words(list)+"; see starter integrations verify")
	}
	out.answer = Answer{HTTPStatus: out.answer.HTTPStatus}
	return out
}

// Words are checks in one line: what differs, and the remedy of the first.
func Words(list []adapters.Check) string {
	var words []string
	for i, c := range list {
		said := c.What
		if c.Found != "" {
			said += ": " + c.Found
		}
		if i == 0 && c.Remedy != "" {
			said += " (" + c.Remedy + ")"
		}
		words = append(words, said)
	}
	return strings.Join(words, "; ")
}
