package words

import (
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/exports"
)

// Sentence says what became of a period: "October 2026 to Xledger: 80 of 88 vouchers arrived,
// NOK 22,780.00; 8 refused, NOK 1,140.00". Vouchers that were withdrawn are not among those
// that should arrive.
func (p *Printer) Sentence(c exports.Chain) string {
	first := c.First()
	vendor := p.Vendor(first.AdapterName)
	head := Capital(p.T("sentence.headOf", "period", p.Period(first.Period), "vendor", vendor))
	adopts := first.Trigger == exports.ByAdopting
	if adopts {
		head = p.T("sentence.adopted", "head", head)
	}
	state, done := c.State(), c.Counts[exports.WasExported]
	total := c.Total().Vouchers - c.Counts[exports.WasWithdrawn].Vouchers
	switch {
	case state == exports.ChainFailed:
		return p.T("sentence.failed", "head", head) + p.cause(c)
	case state == exports.ChainRunning && adopts:
		return p.T("sentence.adopting", "head", head, "n", c.Total().Entries)
	case state == exports.ChainRunning && c.Total().Entries == 0:
		return p.T("sentence.planning", "head", head)
	case c.Total().Entries == 0:
		return p.joined(c, p.T("sentence.nothing", "head", head))
	case total == 0:
		return p.joined(c, p.T("sentence.noneLeft", "head", head))
	}
	key := "sentence.some"
	switch {
	case state == exports.ChainRunning:
		key = "sentence.soFar"
	case done.Vouchers == total && total != 2: // nobody says "all 2"
		key = "sentence.all"
	case done.Vouchers == 0:
		key = "sentence.none"
	}
	return p.joined(c, p.T(key, "head", head, "done", done.Vouchers, "n", total)+p.comma(done))
}

// joined is the beginning of a sentence with what else there is to say of a chain.
func (p *Printer) joined(c exports.Chain, beginning string) string {
	parts := []string{beginning}
	count := func(key string, o exports.Outcome) {
		if n := c.Counts[o]; n.Vouchers > 0 {
			parts = append(parts, p.T("sentence."+key, "n", n.Vouchers)+p.comma(n))
		}
	}
	running := c.State() == exports.ChainRunning
	waits := "unsent"
	if running {
		waits = "waiting"
	}
	count("refused", exports.WasRefused)
	count(waits, exports.IsWaiting)
	count("unknown", exports.IsUnknown)
	for _, e := range c.Elsewhere {
		parts = append(parts, p.T("sentence.elsewhere."+string(e.Outcome), "n", e.Count.Entries, "period", p.Period(e.Period))+p.comma(e.Count))
	}
	count("withdrawn", exports.WasWithdrawn)
	if c.WithdrawnLines > 0 {
		parts = append(parts, p.T("sentence.withdrawnLines", "n", c.WithdrawnLines))
	}
	if c.LateErrors > 0 {
		parts = append(parts, p.T("sentence.lateErrors", "n", c.LateErrors, "vendor", p.Vendor(c.First().AdapterName)))
	}
	return strings.Join(parts, "; ")
}

// comma are the amounts of a count, after a comma; "" if there are none.
func (p *Printer) comma(n exports.Count) string {
	if money := p.Money(n.Amounts); money != "" {
		return ", " + money
	}
	return ""
}

// cause is the last error with which one of the exports ended, as a sentence after another one.
func (p *Printer) cause(c exports.Chain) string {
	for _, e := range slices.Backward(c.Exports) {
		if e.ErrorCode != "" {
			what, _ := p.KindAt(e.ErrorCode, e.AdapterName)
			return " " + what
		}
	}
	return ""
}
