package console

import (
	"encoding/csv"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/xuri/excelize/v2"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/console/words"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
)

// voucherQuery are the parameters of a page of vouchers.
var voucherQuery = []string{"adopted", "state", "search", "after", "limit"}

const (
	vouchersOnPage = 50
	mostOnPage     = 500
)

// integrationName is an integration as pages and programs name it.
type integrationName struct {
	ID      uuid.UUID `json:"integrationId"`
	Name    string    `json:"name"`
	Adapter string    `json:"adapter"`
	Vendor  string    `json:"vendor"` // what people call it
}

func nameOf(in integrations.Integration) integrationName {
	return integrationName{in.ID, in.Name, in.Adapter, integrations.VendorTitle(in.Adapter)}
}

// period is the export of a period and its retries, and its vouchers.
type period struct {
	Integration integrationName                   `json:"integration"`
	Period      string                            `json:"period"`
	State       exports.ChainState                `json:"state"`
	Sentence    string                            `json:"sentence"`
	Counts      map[exports.Outcome]exports.Count `json:"counts"`
	Total       exports.Count                     `json:"total"`
	Missing     exports.Count                     `json:"missing"`
	Late        int                               `json:"lateEntries"`
	LateErrors  int                               `json:"entriesWithLateErrors"`
	Wait        *wait                             `json:"wait,omitempty"` // of one that has not ended
	Exports     []statement.Export                `json:"exports"`
	Vouchers    []voucherRow                      `json:"vouchers"`
	Query       vouchersAsked                     `json:"query"`
	Next        string                            `json:"next,omitempty"` // after which voucher the next page begins
	CanRetry    bool                              `json:"canRetry"`
	Left        exports.Count                     `json:"left"`               // what a retry would take: refused, waiting or unknown
	Adopted     bool                              `json:"adopted"`            // it was taken over from the vendor
	Both        bool                              `json:"both"`               // there is an export of the period, and what was adopted of it: adopted=true asks for that
	Resume      string                            `json:"resume,omitempty"`   // the operation that resumes an export whose run no longer exists: export or retry
	StartsAt    *time.Time                        `json:"startsAt,omitempty"` // by the schedule, if it has no export
	Running     *uuid.UUID                        `json:"check,omitempty"`    // a check at the vendor that is under way or has ended lately
}

// wait is why an export that has not ended waits.
type wait struct {
	For    exports.WaitFor `json:"for"`
	Kind   classify.Kind   `json:"errorKind,omitempty"`
	Until  *time.Time      `json:"until,omitempty"`
	Says   string          `json:"says"`             // why, in the reader's language
	Todo   string          `json:"todo"`             // what to do
	Paused *runlog.Pause   `json:"paused,omitempty"` // who has paused the integration, if it waits for that
}

// voucherRow is a voucher in a table.
type voucherRow struct {
	VoucherID string            `json:"voucherId"`
	Date      string            `json:"date"`
	Text      string            `json:"text"`
	State     exports.Outcome   `json:"state"`
	Amounts   map[string]string `json:"amounts"`
	Entries   int               `json:"entries"`
	Reason    string            `json:"reason,omitempty"` // in the reader's language
	Quote     string            `json:"quote,omitempty"`  // what the vendor said
	OpenUntil *time.Time        `json:"openUntil,omitempty"`
	Late      bool              `json:"late,omitempty"`
	LateError bool              `json:"lateError,omitempty"`
	Corrected bool              `json:"corrected,omitempty"`
	ExportID  uuid.UUID         `json:"exportId"`
}

// vouchersAsked is which vouchers were asked for.
type vouchersAsked struct {
	States []exports.Outcome `json:"states"`
	Search string            `json:"search"`
	After  string            `json:"after"`
	Limit  int               `json:"limit"`

	Adopted bool `json:"-"` // of what was adopted, beside the period's export
}

// Has reports whether a state was asked for.
func (a vouchersAsked) Has(o exports.Outcome) bool { return slices.Contains(a.States, o) }

// Encoded is the same as parameters of an address, without the place in the list.
func (a vouchersAsked) Encoded() template.URL {
	q := url.Values{}
	for _, o := range a.States {
		q.Add("state", string(o))
	}
	if a.Search != "" {
		q.Set("search", a.Search)
	}
	if a.Adopted {
		q.Set("adopted", "true")
	}
	return template.URL(q.Encode())
}

// askedVouchers reads the parameters of a page of vouchers.
func (r *request) askedVouchers() (a vouchersAsked, err error) {
	q := r.URL.Query()
	a = vouchersAsked{States: []exports.Outcome{}, Search: clip(strings.TrimSpace(q.Get("search")), 200), After: clip(q.Get("after"), 1000), Limit: vouchersOnPage, Adopted: r.adopted()}
	for _, s := range q["state"] {
		o := exports.Outcome(s)
		if !slices.Contains(exports.Outcomes, o) {
			return a, refuse(http.StatusBadRequest, "parameter", "name", "state")
		}
		if !a.Has(o) {
			a.States = append(a.States, o)
		}
	}
	if s := q.Get("limit"); s != "" {
		if a.Limit, err = strconv.Atoi(s); err != nil || a.Limit < 1 || a.Limit > mostOnPage {
			return a, refuse(http.StatusBadRequest, "parameter", "name", "limit")
		}
	}
	return a, nil
}

// findChain is the chain of the path: that of an integration and a period. What was adopted of it
// is another one, which is meant if there is no other, or adopted=true asks for it.
func (r *request) findChain() (in integrations.Integration, c exports.Chain, err error) {
	if in, err = r.findIntegration(); err != nil {
		return in, c, err
	}
	which := r.PathValue("period")
	if _, _, err := exports.ParsePeriod(which); err != nil {
		return in, c, notFound()
	}
	list, err := runlog.LoadPeriodSums(r.Context(), r.db(), r.org.ID, in.ID, which)
	if err != nil {
		return in, c, err
	}
	if len(list) == 0 {
		return in, c, refuse(http.StatusNotFound, "no_export", "period", r.said.Period(which), "vendor", integrations.VendorTitle(in.Adapter))
	}
	adopted := slices.IndexFunc(list, func(c exports.Chain) bool { return c.First().Trigger == exports.ByAdopting })
	own := slices.IndexFunc(list, func(c exports.Chain) bool { return c.First().Trigger != exports.ByAdopting })
	r.both = adopted >= 0 && own >= 0
	if own < 0 || adopted >= 0 && r.adopted() {
		return in, list[adopted], nil
	}
	return in, list[own], nil
}

// adopted reports whether what was adopted of the period is asked for.
func (r *request) adopted() bool { return r.URL.Query().Get("adopted") == "true" }

// periodHere is the page of the path's period, of what was adopted if that was asked for.
func (r *request) periodHere(spec integrations.Integration, c exports.Chain) string {
	if r.adopted() {
		return periodPath(spec.Name, c.First().Period) + "?adopted=true"
	}
	return periodPath(spec.Name, c.First().Period)
}

func (r *request) period() (data any, err error) {
	err = r.snapshot(func() error {
		data, err = r.periodNow()
		return err
	})
	return data, err
}

// periodNow is the period of the path at one moment.
func (r *request) periodNow() (any, error) {
	asked, err := r.askedVouchers()
	if err != nil {
		return nil, err
	}
	in, c, err := r.findChain()
	if none := (*problem)(nil); errors.As(err, &none) && none.name == "no_export" {
		return r.periodToCome(in, asked)
	}
	if err != nil {
		return nil, err
	}
	p := period{
		Integration: nameOf(in), Period: c.First().Period, State: c.State(), Sentence: r.said.Sentence(c), Counts: c.Counts, Total: c.Total(), Missing: c.Missing(),
		Late: c.Late, LateErrors: c.LateErrors, Exports: []statement.Export{}, Query: asked, CanRetry: c.Pending() == nil && !c.NothingToRetry(),
		Adopted: c.First().Trigger == exports.ByAdopting, Both: r.both,
	}
	for _, o := range notThere {
		p.Left = p.Left.Add(c.Counts[o])
	}
	if p.Adopted {
		p.CanRetry = false
	}
	for _, e := range c.Exports {
		p.Exports = append(p.Exports, statement.OfExport(e))
	}
	if p.Wait, err = r.waitOf(c, in); err != nil {
		return nil, err
	}
	if pending := c.Pending(); p.Wait != nil && p.Wait.For == exports.WaitForRun {
		p.Resume = "export"
		if pending.ParentID != nil {
			p.Resume = "retry"
		}
	}
	p.Vouchers, p.Next, err = r.vouchers(in, c, asked)
	p.Running = r.c.jobs.of(r.org.ID, in.ID, p.Period)
	return p, err
}

// periodToCome is a period that has no export.
func (r *request) periodToCome(in integrations.Integration, asked vouchersAsked) (period, error) {
	p := period{Integration: nameOf(in), Period: r.PathValue("period"), State: noExport, Counts: map[exports.Outcome]exports.Count{}, Exports: []statement.Export{}, Vouchers: []voucherRow{}, Query: asked}
	if run, ok := in.NextRun(r.now); ok && run.Period == p.Period {
		p.StartsAt = &run.At
	}
	running, err := runlog.AnyWorker(r.Context(), r.db())
	if !running {
		reason := exports.WaitFacts{NoWorker: true}.Reason(r.now)
		p.Wait = &wait{For: reason.For}
		p.Wait.Says, p.Wait.Todo = r.said.Waits(reason, in.Adapter, r.now)
	}
	return p, err
}

// noExport is the state of a period that has no export.
const noExport exports.ChainState = "none"

// waitOf is why a chain that has not ended waits; nil if it has.
func (r *request) waitOf(c exports.Chain, in integrations.Integration) (*wait, error) {
	pending := c.Pending()
	if pending == nil || pending.Trigger == exports.ByAdopting {
		return nil, nil
	}
	facts, err := runlog.ListWaitFacts(r.Context(), r.db(), r.org.ID, []exports.Export{*pending})
	if err != nil {
		return nil, err
	}
	reason := facts[pending.ID].Reason(r.now)
	w := &wait{For: reason.For, Kind: reason.Kind, Until: reason.Until}
	w.Says, w.Todo = r.said.Waits(reason, in.Adapter, r.now)
	if reason.For == exports.WaitForResume {
		w.Paused, err = runlog.LoadPause(r.Context(), r.db(), r.org.ID, in.ID)
	}
	return w, err
}

// vouchers are a page of a chain's vouchers, and after which the next page begins.
func (r *request) vouchers(in integrations.Integration, c exports.Chain, a vouchersAsked) ([]voucherRow, string, error) {
	list, next, err := runlog.PageVouchers(r.Context(), r.db(), r.org.ID, c, runlog.VoucherQuery{Outcomes: a.States, Search: a.Search, After: a.After, Limit: a.Limit})
	if err != nil {
		return nil, "", err
	}
	rows := []voucherRow{}
	for _, v := range list {
		rows = append(rows, r.rowOf(in, v))
	}
	return rows, next, nil
}

func (r *request) rowOf(in integrations.Integration, v runlog.Voucher) voucherRow {
	row := voucherRow{
		VoucherID: v.ID, Date: v.Date.Format(time.DateOnly), Text: v.Text, State: v.Outcome, Amounts: v.Amounts(), Entries: v.Entries(), OpenUntil: v.OpenUntil,
		Late: v.Late, LateError: v.LateError, Corrected: v.Corrected, ExportID: v.ExportID,
	}
	if text := v.Reason(); text != "" {
		said := r.said.Reason(in.Adapter, text, !words.Ours(text))
		row.Reason, row.Quote = said.Text, said.Quote
	}
	return row
}

// download writes all vouchers that a filter selects as a file for a spreadsheet.
func (r *request) download() error {
	asked, err := r.askedVouchers()
	if err != nil {
		return err
	}
	return r.snapshot(func() error { return r.file(asked) })
}

// file writes the file of the path, all as it was at one moment.
func (r *request) file(asked vouchersAsked) error {
	in, c, err := r.findChain()
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%s-%s", r.org, in.Name, c.First().Period)
	switch r.PathValue("file") {
	case "vouchers.csv":
		r.attach("text/csv; charset=utf-8", name+".csv")
		return r.writeCSV(in, c, asked)
	case "vouchers.xlsx":
		r.attach("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", name+".xlsx")
		return r.writeWorkbook(in, c, asked)
	}
	return notFound()
}

func (r *request) attach(kind, name string) {
	r.w.Header().Set("Content-Type", kind)
	r.w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
}

// eachVoucher calls fn for every voucher that a filter selects.
func (r *request) eachVoucher(in integrations.Integration, c exports.Chain, asked vouchersAsked, fn func(voucherRow) error) error {
	asked.Limit = mostOnPage
	for {
		list, next, err := r.vouchers(in, c, asked)
		if err != nil {
			return err
		}
		for _, v := range list {
			if err := fn(v); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		asked.After = next
	}
}

// columnNames are the headings of a file of vouchers.
var columnNames = []string{"voucher", "date", "text", "state", "currency", "amount", "entries", "reason", "quote"}

func (r *request) headings() (list []string) {
	for _, name := range columnNames {
		list = append(list, r.said.T("column."+name))
	}
	return list
}

// lines are a voucher as rows of a file, one for each currency.
func (r *request) lines(v voucherRow) (rows [][]string) {
	for _, currency := range currenciesOf(v.Amounts) {
		rows = append(rows, []string{v.VoucherID, v.Date, v.Text, r.said.Outcome(v.State).Word, currency, v.Amounts[currency], strconv.Itoa(v.Entries), v.Reason, v.Quote})
	}
	return rows
}

// currenciesOf are the currencies of amounts, sorted; one without a name if there are none.
func currenciesOf(amounts map[string]string) (list []string) {
	for currency := range amounts {
		list = append(list, currency)
	}
	if len(list) == 0 {
		return []string{""}
	}
	slices.Sort(list)
	return list
}

// writeCSV writes a file that Excel opens by double click, in the dialect of the language.
func (r *request) writeCSV(in integrations.Integration, c exports.Chain, asked vouchersAsked) error {
	dialect := statement.PointDialect
	if r.said.Language() == words.Bokmal {
		dialect = statement.CommaDialect
	}
	if _, err := r.w.Write([]byte(statement.ByteOrderMark)); err != nil {
		return err
	}
	w := csv.NewWriter(r.w)
	w.Comma = dialect.Comma
	_ = w.Write(r.headings())
	err := r.eachVoucher(in, c, asked, func(v voucherRow) error {
		for _, cells := range r.lines(v) {
			for i := range cells {
				if columnNames[i] == "amount" {
					cells[i] = strings.Replace(cells[i], ".", dialect.Decimal, 1)
				} else {
					cells[i] = statement.Safe(cells[i])
				}
			}
			if err := w.Write(cells); err != nil {
				return err
			}
		}
		return nil
	})
	w.Flush()
	if err != nil {
		panic(http.ErrAbortHandler) // a part of the file is written: the download must not look whole
	}
	return w.Error()
}

// writeWorkbook writes a workbook, whose texts are texts and whose amounts are numbers.
func (r *request) writeWorkbook(in integrations.Integration, c exports.Chain, asked vouchersAsked) error {
	book := excelize.NewFile()
	defer book.Close()
	w, err := book.NewStreamWriter("Sheet1")
	if err != nil {
		return err
	}
	money, err := book.NewStyle(&excelize.Style{NumFmt: 4}) // #,##0.00
	if err != nil {
		return err
	}
	n := 1
	row := func(cells []any) error {
		err := w.SetRow("A"+strconv.Itoa(n), cells)
		n++
		return err
	}
	var head []any
	for _, h := range r.headings() {
		head = append(head, h)
	}
	if err := row(head); err != nil {
		return err
	}
	err = r.eachVoucher(in, c, asked, func(v voucherRow) error {
		for _, texts := range r.lines(v) {
			cells := make([]any, len(texts))
			for i, text := range texts {
				switch columnNames[i] {
				case "amount":
					f, _ := strconv.ParseFloat(text, 64) // a workbook has nothing better
					cells[i] = excelize.Cell{StyleID: money, Value: f}
				case "entries":
					cells[i], _ = strconv.Atoi(text)
				default:
					cells[i] = statement.Safe(text)
				}
			}
			if n > mostRows {
				return refuse(http.StatusUnprocessableEntity, "too_many_rows", "n", mostRows)
			}
			if err := row(cells); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		r.w.Header().Del("Content-Disposition")
		return err
	}
	return book.Write(r.w)
}

// mostRows is how many rows a sheet of a workbook can have.
const mostRows = 1_048_576
