package console

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
)

// voucher is a voucher as it is stored, where it went, and what people changed of it.
type voucher struct {
	VoucherID string            `json:"voucherId"`
	Lines     []correctedLine   `json:"lines"`
	Sums      map[string]string `json:"sums"` // by currency; a voucher that is complete sums to zero
	Sent      []voucherSent     `json:"exports"`
	Changes   []voucherChange   `json:"changes"`
	Coming    []coming          `json:"coming"`    // the exports that it goes with, if none has taken it
	CanChange bool              `json:"canChange"` // no vendor has it, and no export that has not ended
}

// Seen identifies the lines that a page shows, so that a form made of them changes no others.
func (v voucher) Seen() string { return seen(v.Lines) }

func seen(lines []correctedLine) string { return fmt.Sprintf("%x", sha256.Sum256(asJSON(lines))) }

// voucherSent is what a period's export has of a voucher.
type voucherSent struct {
	Integration string `json:"integration"`
	Period      string `json:"period"`
	voucherRow
}

// voucherChange is a correction on record.
type voucherChange struct {
	At     time.Time                `json:"changedAt"`
	Actor  string                   `json:"actor"`
	Reason string                   `json:"reason"`
	Kind   string                   `json:"kind"` // replaced or withdrawn
	Fields []runlog.EntryDifference `json:"differences"`
}

// correctedLine is a line of a voucher, as a form has it.
type correctedLine struct {
	EntryID    string            `json:"entryId"`
	Date       string            `json:"date"` // 2026-10-31
	Account    string            `json:"account"`
	Amount     string            `json:"amount"` // decimal
	Currency   string            `json:"currency"`
	Text       string            `json:"text"`
	Dimensions map[string]string `json:"dimensions,omitempty"`
}

// mostLines is how many lines of a voucher a form has. One with more is corrected by a file.
const mostLines = 200

// maxVoucher is how many characters the ID of a voucher may have.
const maxVoucher = 500

// voucherOfPath is the voucher of the path.
func (r *request) voucherOfPath() (string, error) {
	v := r.PathValue("voucher")
	if v == "" || utf8.RuneCountInString(v) > maxVoucher || !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
		return "", notFound()
	}
	return v, nil
}

func (r *request) voucher() (any, error) {
	id, err := r.voucherOfPath()
	if err != nil {
		return nil, err
	}
	v := voucher{VoucherID: id, Lines: []correctedLine{}, Sent: []voucherSent{}, Changes: []voucherChange{}, Coming: []coming{}, CanChange: true}
	stored, err := runlog.ListVoucherEntries(r.Context(), r.db(), r.org.ID, id)
	if err != nil {
		return nil, err
	}
	v.Lines = linesOf(stored)
	for _, e := range stored {
		v.Sums = exports.AddAmounts(v.Sums, map[string]string{e.Currency: e.Amount})
	}
	sent, err := runlog.ListSentVoucher(r.Context(), r.db(), r.org.ID, id)
	if err != nil {
		return nil, err
	}
	for _, e := range sent {
		row := voucherRow{VoucherID: id, State: e.Outcome, Amounts: e.Amounts, Entries: e.Entries, OpenUntil: e.OpenUntil, LateError: e.LateError, Corrected: e.Corrected, ExportID: e.ExportID}
		if e.Reason != "" {
			said := r.said.Reason(e.Adapter, e.Reason, e.ByVendor)
			row.Reason, row.Quote = said.Text, said.Quote
		}
		v.Sent = append(v.Sent, voucherSent{e.Integration, e.Period, row})
		if e.Status == exports.Pending || e.Outcome == exports.WasExported || e.Outcome == exports.IsUnknown || e.OpenUntil != nil {
			v.CanChange = false
		}
	}
	if len(sent) == 0 && len(stored) > 0 {
		last := slices.MaxFunc(stored, func(a, b runlog.AccountingEntry) int { return a.Date.Compare(b.Date) })
		if v.Coming, err = r.waitsFor(last.Date); err != nil {
			return nil, err
		}
	}
	changes, err := runlog.ListEntryChanges(r.Context(), r.db(), r.org.ID, id)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		v.Changes = append(v.Changes, voucherChange{c.ChangedAt, c.Actor, c.Reason, string(c.Kind), c.Differences()})
	}
	if len(v.Lines) == 0 && len(v.Sent) == 0 && len(v.Changes) == 0 {
		return nil, notFound()
	}
	if len(v.Lines) == 0 {
		v.CanChange = false
	}
	return v, nil
}

// Long reports whether a voucher has more lines than a form.
func (v voucher) Long() bool { return len(v.Lines) > mostLines }

func linesOf(stored []runlog.AccountingEntry) []correctedLine {
	list := []correctedLine{}
	for _, e := range stored {
		list = append(list, correctedLine{e.EntryID, e.Date.Format(time.DateOnly), e.Account, e.Amount, e.Currency, e.Text, e.Dimensions})
	}
	return list
}

type correctInput struct {
	Lines  []correctedLine `json:"lines"`
	Reason string          `json:"reason"`
}

// correctedLines are the lines of a form, whose fields are such as account.3.
func (r *request) correctedLines() (list []correctedLine) {
	for i := range mostLines + 1 { // one more is refused
		n := "." + strconv.Itoa(i)
		if !r.PostForm.Has("entryId" + n) {
			break
		}
		field := func(name string) string { return strings.TrimSpace(r.PostFormValue(name + n)) }
		l := correctedLine{EntryID: r.PostFormValue("entryId" + n), Date: field("date"), Account: field("account"), Amount: field("amount"), Currency: field("currency"), Text: field("text")}
		for _, name := range r.PostForm["dimension"+n] {
			if l.Dimensions == nil {
				l.Dimensions = make(map[string]string)
			}
			l.Dimensions[name] = field("dimension." + name)
		}
		list = append(list, l)
	}
	return list
}

// correct replaces lines of a voucher that no vendor has.
func (r *request) correct(in correctInput) (*done, error) {
	id, err := r.voucherOfPath()
	if err != nil {
		return nil, err
	}
	reason, err := reasonFor(in.Reason)
	if err != nil {
		return nil, err
	}
	stored, err := runlog.ListVoucherEntries(r.Context(), r.db(), r.org.ID, id)
	if err != nil {
		return nil, err
	}
	switch page := r.PostForm.Get("seen"); {
	case len(stored) == 0:
		return nil, refuse(http.StatusConflict, "voucher_gone")
	case page != "" && page != seen(linesOf(stored)):
		return nil, refuse(http.StatusConflict, "changed_meanwhile")
	}
	entries, wrong := r.corrected(id, stored, in.Lines)
	if wrong != nil {
		return nil, wrong
	}
	if len(entries) == 0 {
		return nil, refuse(http.StatusBadRequest, "nothing_changed")
	}
	result, err := runlog.ImportEntries(r.Context(), r.db(), r.org.ID, each(entries), runlog.ImportOptions{Replace: true, Actor: r.who.Actor(), Reason: reason, Check: func(is runlog.ImportResult) error {
		if is.Added > 0 || !asStored(stored, is.Changes) {
			return refuse(http.StatusConflict, "changed_meanwhile")
		}
		return nil
	}})
	if err != nil {
		return nil, refusedImport(err)
	}
	if result.Replaced == 0 {
		return nil, refuse(http.StatusBadRequest, "nothing_changed")
	}
	return &done{Target: voucherPath(id), Before: map[string]any{"changes": result.Changes}, After: map[string]any{"replaced": result.Replaced}, Result: imported(result)}, nil
}

// asStored reports whether what an import replaces is what was read before it.
func asStored(stored []runlog.AccountingEntry, changes []runlog.EntryDifference) bool {
	return !slices.ContainsFunc(changes, func(d runlog.EntryDifference) bool {
		at := slices.IndexFunc(stored, func(e runlog.AccountingEntry) bool { return e.EntryID == d.EntryID })
		if at < 0 {
			return true
		}
		e := stored[at]
		was, known := map[string]string{"date": e.Date.Format(time.DateOnly), "account": e.Account, "amount": e.Amount, "currency": e.Currency, "text": e.Text, "voucher": e.VoucherID}[d.Field]
		return known && was != d.Old
	})
}

// corrected are the lines that a form changes. Lines of the voucher can be neither added nor
// left out: that is an import, or a withdrawal.
func (r *request) corrected(voucher string, stored []runlog.AccountingEntry, lines []correctedLine) ([]runlog.AccountingEntry, *problem) {
	if len(lines) > mostLines {
		return nil, refuse(http.StatusBadRequest, "too_many_lines", "n", mostLines)
	}
	p := refuse(http.StatusBadRequest, "wrong_lines")
	var changed []runlog.AccountingEntry
	seen := make(map[string]bool)
	for i, l := range lines {
		where := fmt.Sprintf("%s %d", r.said.T("column.line"), i+1)
		at := slices.IndexFunc(stored, func(e runlog.AccountingEntry) bool { return e.EntryID == l.EntryID })
		if at < 0 || seen[l.EntryID] {
			p.Lines = append(p.Lines, line{where, r.said.T("wrong.not_of_voucher")})
			continue
		}
		seen[l.EntryID] = true
		was := stored[at]
		is := was
		amount, ok := amountOf(l.Amount)
		if !ok {
			p.Lines = append(p.Lines, line{where, r.said.T("wrong.amount", "text", clip(l.Amount, 40))})
		}
		day, err := time.Parse(time.DateOnly, l.Date)
		if err != nil || day.Year() < 1900 || day.Year() > 2999 {
			p.Lines = append(p.Lines, line{where, r.said.T("wrong.date", "text", clip(l.Date, 40))})
		}
		switch l.Account = plain.Trim(l.Account); {
		case l.Account == "":
			p.Lines = append(p.Lines, line{where, r.said.T("wrong.account")})
		case !nameable(l.Account):
			p.Lines = append(p.Lines, line{where, r.said.T("wrong.account_name", "text", clip(l.Account, 40))})
		}
		if !currencyForm.MatchString(l.Currency) {
			p.Lines = append(p.Lines, line{where, r.said.T("wrong.currency", "text", clip(l.Currency, 40))})
		}
		if utf8.RuneCountInString(l.Text) > maxLineText || plain.Text(l.Text) != nil {
			p.Lines = append(p.Lines, line{where, r.said.T("wrong.text", "n", maxLineText)})
		}
		for name, value := range l.Dimensions {
			if name == "" || !nameable(name) || !nameable(value) {
				p.Lines = append(p.Lines, line{where, r.said.T("wrong.dimension", "text", clip(name, 40))})
			}
		}
		is.Date, is.Account, is.Amount, is.Currency, is.Text = day, l.Account, amount, strings.ToUpper(l.Currency), l.Text
		if l.Dimensions != nil {
			is.Dimensions = l.Dimensions
		}
		if !sameEntry(was, is) {
			changed = append(changed, is)
		}
	}
	if len(p.Lines) > 0 {
		return nil, p
	}
	return changed, nil
}

const (
	maxLineText = 500 // characters of a line's text
	maxLineName = 200 // characters of an account, and of a dimension
)

// currencyForm is the code of a currency, as people type one.
var currencyForm = regexp.MustCompile(`^[A-Za-z]{3}$`)

// nameable reports whether a text can name something, as files of entries are read.
func nameable(s string) bool { return utf8.RuneCountInString(s) <= maxLineName && plain.Seen(s) == nil }

type reasonInput struct {
	Reason string `json:"reason"`
}

// withdraw takes a voucher that no vendor has out of what is exported.
func (r *request) withdraw(in reasonInput) (*done, error) {
	id, err := r.voucherOfPath()
	if err != nil {
		return nil, err
	}
	reason, err := reasonFor(in.Reason)
	if err != nil {
		return nil, err
	}
	stored, err := runlog.ListVoucherEntries(r.Context(), r.db(), r.org.ID, id)
	if err != nil {
		return nil, err
	}
	if len(stored) == 0 {
		return nil, refuse(http.StatusConflict, "voucher_gone")
	}
	gone, err := runlog.WithdrawVoucher(r.Context(), r.db(), r.org.ID, id, r.who.Actor(), reason)
	if err != nil {
		return nil, refusedImport(err)
	}
	return &done{Target: voucherPath(id), Before: gone, After: map[string]any{"withdrawn": true}, Result: gone}, nil
}

// refusedImport is why entries were not stored, replaced or withdrawn.
func refusedImport(err error) error {
	var refused *runlog.RefusedError
	var repeated *runlog.RepeatedError
	switch {
	case errors.As(err, &refused):
		p := refuse(http.StatusConflict, "refused_change", "n", refused.Total)
		for _, one := range refused.Refused[:min(len(refused.Refused), 100)] {
			p.Lines = append(p.Lines, line{one.VoucherID + " / " + one.EntryID, one.Why + "; " + one.Remedy})
		}
		return p
	case errors.As(err, &repeated):
		p := refuse(http.StatusConflict, "repeated_lines", "n", int(repeated.Count))
		for _, one := range repeated.Lines[:min(len(repeated.Lines), 100)] {
			p.Lines = append(p.Lines, line{one.VoucherID + " / " + one.EntryID, one.Date + ", " + one.Account + ", " + one.Currency + " " + one.Amount})
		}
		return p
	}
	return err
}
