package console

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"math/big"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/entryfile"
	"github.com/ledgerline/ledgerline/outlook"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
)

// maxUpload is how many bytes a file may have.
const maxUpload = 32 << 20

const (
	shownErrors = 200
	shownSample = 10
)

// uploads is the page on which a file is chosen.
type uploads struct {
	Integrations []integrationName `json:"integrations"` // that name columns of files
}

func (r *request) uploads() (any, error) {
	list, err := r.integrations()
	if err != nil {
		return nil, err
	}
	u := uploads{Integrations: []integrationName{}}
	for _, in := range list {
		if len(in.Export.Columns) > 0 {
			u.Integrations = append(u.Integrations, nameOf(in))
		}
	}
	return u, nil
}

// storeInput is a file, as multipart/form-data.
type storeInput struct {
	File string `json:"file"` // the file itself
}

// reading is how a file is to be read where it leaves that open.
type reading struct {
	Integration string // whose file says how columns are named
	DecimalSign string // , or .
	DateOrder   string // dmy or mdy
	Sheet       string // of a workbook
	IDFrom      string // columns of which entry IDs are made, with commas
}

// MadeOf reports whether entry IDs are made of a column.
func (r reading) MadeOf(heading string) bool {
	return slices.Contains(strings.Split(r.IDFrom, ","), heading)
}

// readingQuery are the parameters of [reading].
var readingQuery = []string{"columnsOf", "decimalSign", "dateOrder", "sheet", "idFrom", "replace", "repeated"}

// readingAsked is how the page, or the form on it, says that a file is to be read.
func (r *request) readingAsked() reading {
	columns := r.FormValue("columnsOf") // which reads the form
	return reading{columns, r.FormValue("decimalSign"), r.FormValue("dateOrder"), r.FormValue("sheet"), strings.Join(r.Form["idFrom"], ",")}
}

// stored is a file that was stored to be looked at.
type stored struct {
	ID uuid.UUID `json:"uploadId"`
}

// store keeps a file for an hour, so that people can look at it before it is imported.
func (r *request) store() (*done, error) {
	f, header, err := r.FormFile("file")
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "no_file")
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxUpload+1))
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "not_readable").because(err)
	}
	if len(content) > maxUpload {
		return nil, refuse(http.StatusRequestEntityTooLarge, "too_large", "n", maxUpload>>20)
	}
	if len(content) == 0 {
		return nil, refuse(http.StatusBadRequest, "no_file")
	}
	name := clip(plain.Line(filepath.Base(strings.ReplaceAll(header.Filename, `\`, "/"))), 200)
	u := runlog.Upload{ID: uuid.New(), Name: cmp.Or(name, "file"), Content: content, Actor: r.who.Actor()}
	if err := runlog.StoreUpload(r.Context(), r.db(), r.org.ID, u); errors.Is(err, runlog.ErrTooManyUploads) {
		return nil, refuse(http.StatusTooManyRequests, "too_many_uploads", "n", runlog.MaxUploads)
	} else if err != nil {
		return nil, err
	}
	return &done{Status: http.StatusCreated, Target: "/uploads/" + u.ID.String(), Result: stored{u.ID}, After: map[string]any{"file": name, "bytes": len(content)}}, nil
}

// options are how a file is read.
func (r *request) options(in reading) (o entryfile.Options, err error) {
	o = entryfile.Options{DecimalSign: in.DecimalSign, DateOrder: in.DateOrder, Sheet: clip(in.Sheet, 200), IgnoreColumns: true, MaxErrors: shownErrors, Now: r.now}
	if !slices.Contains([]string{"", ",", "."}, o.DecimalSign) {
		return o, refuse(http.StatusBadRequest, "parameter", "name", "decimalSign")
	}
	if !slices.Contains([]string{"", entryfile.DayFirst, entryfile.MonthFirst}, o.DateOrder) {
		return o, refuse(http.StatusBadRequest, "parameter", "name", "dateOrder")
	}
	for name := range strings.SplitSeq(in.IDFrom, ",") {
		if name = strings.TrimSpace(name); name != "" {
			o.IDFrom = append(o.IDFrom, clip(name, 100))
		}
	}
	if in.Integration == "" {
		return o, nil
	}
	list, err := r.integrations()
	for _, one := range list {
		if one.Name == in.Integration || one.ID.String() == in.Integration {
			o.ColumnsFrom(one)
			return o, nil
		}
	}
	if err != nil {
		return o, err
	}
	return o, refuse(http.StatusBadRequest, "parameter", "name", "columnsOf")
}

// upload is a file, how it was read, and what importing it would do.
type upload struct {
	ID         uuid.UUID                `json:"uploadId"`
	Name       string                   `json:"name"`
	ExpiresAt  time.Time                `json:"expiresAt"`
	Reading    entryfile.Reading        `json:"reading"`
	Entries    int                      `json:"entries"`
	Vouchers   int                      `json:"vouchers"`
	Sample     []entryfile.Entry        `json:"sample"`
	Errors     []entryfile.Problem      `json:"errors"`
	ErrorCount int                      `json:"errorCount"`
	Warnings   []string                 `json:"warnings"`
	Unbalanced []entryfile.Imbalance    `json:"unbalanced"`
	Mixed      []entryfile.Mixed        `json:"mixed"`
	Added      int64                    `json:"added"`
	Unchanged  int64                    `json:"unchanged"`
	Replaced   int64                    `json:"replaced"`
	Changes    []runlog.EntryDifference `json:"changes"`
	Left       []runlog.LeftVoucher     `json:"left"`
	Problem    *problem                 `json:"problem,omitempty"` // why it cannot be imported as it is
	NotTaken   []string                 `json:"notTaken"`          // what exports would refuse of it
	Replace    bool                     `json:"replace"`
	Repeated   bool                     `json:"repeated"`
	CanImport  bool                     `json:"canImport"`

	Asked reading           `json:"-"`
	Named []integrationName `json:"-"` // integrations that name columns
}

// Files that are read at once. One has up to 32 MB, and a workbook is unpacked to many times that.
const (
	mostRead     = 4
	mostReadHere = 2 // of one organization
	readWithin   = 10 * time.Second
)

// turns lets few things happen at once, and fewer of one organization.
type turns struct {
	mu    sync.Mutex
	all   int
	count map[uuid.UUID]int
}

// take waits for a turn. It ends with leave.
func (t *turns) take(ctx context.Context, organization uuid.UUID) (leave func(), ok bool) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	for !t.enter(organization) {
		select {
		case <-ctx.Done():
			return nil, false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.all--
		if t.count[organization]--; t.count[organization] == 0 {
			delete(t.count, organization)
		}
	}, true
}

func (t *turns) enter(organization uuid.UUID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all >= mostRead || t.count[organization] >= mostReadHere {
		return false
	}
	if t.count == nil {
		t.count = make(map[uuid.UUID]int)
	}
	t.all++
	t.count[organization]++
	return true
}

// openUpload opens the file of the path.
func (r *request) openUpload(how reading) (u *runlog.Upload, f *entryfile.File, err error) {
	id, err := uuid.Parse(r.PathValue("upload"))
	if err != nil {
		return nil, nil, notFound()
	}
	if u, err = runlog.LoadUpload(r.Context(), r.db(), r.org.ID, id); err != nil {
		return nil, nil, err
	}
	if u == nil {
		return nil, nil, refuse(http.StatusNotFound, "no_upload")
	}
	o, err := r.options(how)
	if err != nil {
		return nil, nil, err
	}
	f, err = entryfile.Open(u.Name, bytes.NewReader(u.Content), o)
	var option *entryfile.OptionError
	if errors.As(err, &option) {
		err = refuse(http.StatusUnprocessableEntity, "reading").detailed(option.Error())
	}
	return u, f, err
}

func (r *request) upload() (any, error) {
	leave, ok := r.c.reads.take(r.Context(), r.org.ID)
	if !ok {
		return nil, refuse(http.StatusServiceUnavailable, "too_many_files")
	}
	defer leave()
	asked := r.readingAsked()
	u, f, err := r.openUpload(asked)
	if err != nil {
		return nil, err
	}
	defer func() { f.Close() }()
	summary, err := entryfile.Check(f, shownSample, nil)
	if err != nil {
		return nil, err
	}
	if columns := summary.Reading.Suggested; len(columns) > 0 { // what the page then says, and lets people change
		f.Close()
		asked.IDFrom = strings.Join(columns, ",")
		if u, f, err = r.openUpload(asked); err != nil {
			return nil, err
		}
		if summary, err = entryfile.Check(f, shownSample, nil); err != nil {
			return nil, err
		}
	}
	q := r.URL.Query()
	up := upload{
		ID: u.ID, Name: u.Name, ExpiresAt: u.ExpiresAt, Reading: summary.Reading, Entries: summary.Count, Vouchers: summary.Vouchers, Sample: orEmpty(summary.Sample),
		Errors: orEmpty(summary.Errors), ErrorCount: summary.ErrorCount, Warnings: orEmpty(summary.Warnings), Unbalanced: orEmpty(summary.Unbalanced), Mixed: orEmpty(summary.Mixed),
		Changes: []runlog.EntryDifference{}, Left: []runlog.LeftVoucher{}, NotTaken: []string{}, Replace: q.Get("replace") == "true", Repeated: q.Get("repeated") == "true", Asked: asked,
	}
	if up.ErrorCount > 0 {
		return up, nil
	}
	result, err := runlog.ImportEntries(r.Context(), r.db(), r.org.ID, f.Entries(nil), runlog.ImportOptions{
		DryRun: true, Replace: up.Replace, AllowRepeated: up.Repeated, Actor: r.who.Actor()})
	if err != nil {
		if !errors.As(refusedImport(err), &up.Problem) {
			return nil, err
		}
		said := up.Problem.said(r.said)
		up.Problem = &said
	}
	up.Added, up.Unchanged, up.Replaced, up.Changes, up.Left = result.Added, result.Unchanged, result.Replaced, orEmpty(result.Changes), orEmpty(result.Left)
	up.CanImport = up.Problem == nil && result.Added+result.Replaced > 0
	up.NotTaken, err = outlook.NotTaken(r.Context(), r.db(), r.org.ID, uuid.Nil, f.Contents())
	up.NotTaken = orEmpty(up.NotTaken)
	return up, err
}

type importInput struct {
	Replace  bool   `json:"replace,omitempty"`
	Repeated bool   `json:"repeated,omitempty"`
	Reason   string `json:"reason,omitempty"` // for the record, with replace

	ColumnsOf   string `json:"columnsOf,omitempty"` // as the upload was looked at
	DecimalSign string `json:"decimalSign,omitempty"`
	DateOrder   string `json:"dateOrder,omitempty"`
	Sheet       string `json:"sheet,omitempty"`
	IDFrom      string `json:"idFrom,omitempty"`
}

// importResult is what an import came to.
type importResult struct {
	Added     int64    `json:"added"`
	Unchanged int64    `json:"unchanged"`
	Replaced  int64    `json:"replaced"`
	WhereTo   []string `json:"whereTo"` // with which exports the entries go
}

func imported(i runlog.ImportResult) importResult {
	return importResult{i.Added, i.Unchanged, i.Replaced, []string{}}
}

// importUpload stores the entries of a file, all or none.
func (r *request) importUpload(in importInput) (*done, error) {
	leave, ok := r.c.reads.take(r.Context(), r.org.ID)
	if !ok {
		return nil, refuse(http.StatusServiceUnavailable, "too_many_files")
	}
	defer leave()
	u, f, err := r.openUpload(reading{in.ColumnsOf, in.DecimalSign, in.DateOrder, in.Sheet, in.IDFrom})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if in.Replace {
		if in.Reason, err = reasonFor(in.Reason); err != nil {
			return nil, err
		}
	} else {
		in.Reason = ""
	}
	result, err := runlog.ImportEntries(r.Context(), r.db(), r.org.ID, f.Entries(nil), runlog.ImportOptions{
		Replace: in.Replace, AllowRepeated: in.Repeated, Actor: r.who.Actor(), Reason: in.Reason})
	var wrong *entryfile.Error
	switch {
	case errors.As(err, &wrong):
		return nil, refuse(http.StatusUnprocessableEntity, "wrong_file", "n", wrong.Count)
	case err != nil:
		return nil, refusedImport(err)
	}
	done := &done{Target: "?import=" + url.QueryEscape(result.Import), Before: map[string]any{"file": u.Name, "changes": result.Changes}, After: imported(result)}
	is := imported(result)
	if where, err := outlook.Imported(r.Context(), r.db(), r.org.ID, result.Import, nil, r.now); err == nil {
		is.WhereTo = orEmpty(where)
	}
	done.Result = is
	if err := runlog.DeleteUpload(r.Context(), r.db(), r.org.ID, u.ID); err != nil {
		r.c.Log.Warn("an imported file is kept until it expires", "upload_id", u.ID)
	}
	return done, nil
}

// orEmpty is a list that JSON shows as one.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// each yields entries.
func each(list []runlog.AccountingEntry) iter.Seq2[runlog.AccountingEntry, error] {
	return func(yield func(runlog.AccountingEntry, error) bool) {
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// amountForm is an amount as people type one: 1 234,50, 1234.5 or -1; with both signs, as pages
// show them, the last one is the decimal sign.
var (
	amountForm = regexp.MustCompile(`^[-+]?\d{1,15}([.,]\d{1,2})?$`)
	grouped    = regexp.MustCompile(`^[-+]?\d{1,3}(((,\d{3}){1,4}\.)|((\.\d{3}){1,4},))\d{1,2}$`)
)

// amountOf reads an amount of a form. What could mean two things, such as 1.234, is refused.
func amountOf(s string) (string, bool) {
	s = strings.NewReplacer(" ", "", "\u00a0", "", "\u202f", "", "\u2212", "-").Replace(s)
	if grouped.MatchString(s) {
		at := strings.LastIndexAny(s, ".,")
		s = strings.NewReplacer(".", "", ",", "").Replace(s[:at]) + "." + s[at+1:]
	}
	if !amountForm.MatchString(s) {
		return "", false
	}
	return strings.Replace(strings.TrimPrefix(s, "+"), ",", ".", 1), true
}

// sameEntry reports whether two entries have the same contents.
func sameEntry(a, b runlog.AccountingEntry) bool {
	if len(a.Dimensions) != len(b.Dimensions) {
		return false
	}
	for name, value := range a.Dimensions {
		if b.Dimensions[name] != value {
			return false
		}
	}
	x, _ := new(big.Rat).SetString(a.Amount)
	y, _ := new(big.Rat).SetString(b.Amount)
	return a.Date.Equal(b.Date) && a.Account == b.Account && a.Currency == b.Currency && a.Text == b.Text && x != nil && y != nil && x.Cmp(y) == 0
}
