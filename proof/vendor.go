package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/runlog"
)

// place is where the integration's entries go, and where the vendor is asked.
func (p Prover) place() string {
	v, _ := vendors.Lookup(p.Integration.Adapter)
	return v.Place(p.Integration.BaseURL, p.Integration.Settings)
}

// lookUpAtOnce is how many entries one look-up asks for.
const lookUpAtOnce = 500

// vendor asks the vendor for entries and compares them. It calls after once each look-up is
// compared.
func (p *proving) vendor(ctx context.Context, entries iter.Seq2[runlog.EntryRecord, error], after func(context.Context) error) ([]Check, error) {
	control, err := runlog.LoadControl(ctx, p.DB, p.Integration.OrganizationID, p.Integration.ID, p.place())
	if err != nil {
		return nil, err
	}
	asked, blind := 0, 0
	p.refused = ""
	for some, err := range batches(entries, lookUpAtOnce) {
		if err != nil {
			return nil, err
		}
		found, refused, err := p.ask(ctx, keysOf(some, control))
		if err != nil {
			return nil, err
		}
		if p.refused = refused; refused != "" {
			break
		}
		if control != nil && slices.ContainsFunc(control.VendorKeys, func(k string) bool { return found[k] == (adapters.LookupResult{}) }) {
			blind++
		}
		for _, r := range some {
			p.comparison.add(r, found[r.VendorKey])
		}
		asked, p.done = asked+len(some), p.done+len(some)
		p.Progress(p.done, p.total)
		if err := after(ctx); err != nil {
			return nil, err
		}
	}
	var all []Check
	if control != nil && asked > 0 {
		evidence := fmt.Sprintf("%s of voucher %s known to be there, ", count(len(control.VendorKeys), "line"), control.VoucherID)
		if blind == 0 {
			evidence += "which each look-up shows"
		} else {
			evidence += fmt.Sprintf("which %s did not show: what those did not find may be there", count(blind, "look-up"))
		}
		all = append(all, newCheck(Control, blind == 0, "%s", evidence))
	}
	all = append(all, p.comparison.checks()...)
	if p.refused != "" {
		all = append(all, newCheck(Asking, false, "the vendor could not be asked for all entries: %s", p.refused))
	}
	return all, nil
}

// batches yields up to n values at a time.
func batches[T any](values iter.Seq2[T, error], n int) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		var some []T
		for v, err := range values {
			if err != nil {
				yield(nil, err)
				return
			}
			if some = append(some, v); len(some) == n {
				if !yield(some, nil) {
					return
				}
				some = nil
			}
		}
		if len(some) > 0 {
			yield(some, nil)
		}
	}
}

// lookUp has a worker ask the vendor for entries. refused is why it could not be asked.
func (p *proving) lookUp(ctx context.Context, keys adapters.LookupRequest) (found map[string]adapters.LookupResult, refused string, err error) {
	body, err := json.Marshal(keys)
	if err != nil {
		return nil, "", err
	}
	in := engine.NewInvocation(p.Integration, adapters.Lookup, body)
	in.Actor, in.ReadOnly, in.Summary = p.Actor, true, "look-up of "+count(len(keys.Keys), "entry")
	out, err := engine.Execute(ctx, p.Temporal, in)
	if err != nil {
		return nil, "", err
	}
	if !out.OK {
		return nil, out.Failure.Message, nil
	}
	if err := json.Unmarshal(out.Response.Body, &found); err != nil {
		return nil, "", fmt.Errorf("the vendor's answer: %w", err)
	}
	return found, "", nil
}

// keysOf are the keys and vouchers of entries and of the control, each once.
func keysOf(some []runlog.EntryRecord, control *runlog.Control) (k adapters.LookupRequest) {
	add := func(key, voucher string) {
		k.Keys, k.Vouchers = append(k.Keys, key), append(k.Vouchers, voucher)
	}
	for _, r := range some {
		add(r.VendorKey, r.VoucherID)
	}
	if control != nil {
		for _, key := range control.VendorKeys {
			if !slices.Contains(k.Keys, key) {
				add(key, control.VoucherID)
			}
		}
		k.Known = control.VendorKeys
	}
	return k
}
