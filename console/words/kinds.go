package words

import (
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
)

// Kind is what a kind of error means and what to do, each a sentence or two for finance staff.
func (p *Printer) Kind(k classify.Kind) (what, remedy string) { return p.KindAt(k, "") }

// KindAt is [Printer.Kind] with the name of an adapter's vendor in it.
func (p *Printer) KindAt(k classify.Kind, adapter string) (what, remedy string) {
	key := "kind." + string(k)
	if !slices.Contains(classify.Kinds(), k) { // of another version
		key = "kind.other"
	}
	vendor := p.Vendor(adapter)
	return Capital(p.T(key+".what", "vendor", vendor)), Capital(p.T(key+".remedy", "vendor", vendor))
}

// Waits is why a pending export waits and what to do, each a sentence or two.
func (p *Printer) Waits(r exports.WaitReason, adapter string, now time.Time) (what, remedy string) {
	if r.For == exports.WaitForVendor {
		what, remedy = p.KindAt(r.Kind, adapter)
	} else {
		vendor := p.Vendor(adapter)
		what = Capital(p.T("waits."+string(r.For)+".what", "vendor", vendor))
		remedy = Capital(p.T("waits."+string(r.For)+".remedy", "vendor", vendor))
	}
	if r.Until != nil {
		what += " " + p.T("waits."+string(r.For)+".until", "time", p.Time(*r.Until, now))
	}
	return what, remedy
}

// Trigger is what started an export: "by schedule".
func (p *Printer) Trigger(t exports.Trigger) string { return p.T("trigger." + string(t)) }

// Status is how far one export of a period is: "being exported".
func (p *Printer) Status(s exports.Status) string { return p.T("status." + string(s)) }
