package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/calls"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/outlook"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
)

func (a *app) exportsShow() *cobra.Command {
	var org, integration string
	var details, commas bool
	c := &cobra.Command{
		Use: "show EXPORT --org NAME [--integration NAME]", Short: "Show what became of a period, and of each voucher that was not exported", Args: exactly(1, "a period or the ID of an export"),
		Long: `Shows the export of a period and its retries, which count as one: whether it is
complete, what is missing and what to do, and each voucher that is not exported, has
an error at the vendor or a line that was withdrawn, with the reason. --details adds
what engineers need: each export with its ID, SHA-256, requests and workflow, and the
entries one by one.

Entries dated in the period that came after its export are no part of what it counts:
a line of its own says how many there are, and with which export they will go. That
somebody has paused the schedule is said if Temporal can be asked within 2 s.

` + exportArgument + `

If it is open what became of a request, a voucher can still take effect until the time
beside it, and then the vendor is asked. What is unknown needs a person; see starter
exports resolve.

-o csv writes every voucher of the period, also the exported ones, for a spreadsheet: a
row for each voucher, state of its lines and currency, so that the rows of a state sum
to what is said of it here. It is UTF-8 with a byte order mark, so that Excel reads it
as such, with commas between the columns and a decimal point; with --decimal-comma
semicolons and a decimal comma, as a Norwegian Excel opens by double click. A text
that a spreadsheet would take for a formula gets a ' before it.`,
		Example: "  starter exports show 2026-10 --integration xledger-main --org $ORG\n  starter exports show 2026-10 --integration xledger-main --org $ORG -o csv --decimal-comma > october.csv",
		RunE: func(c *cobra.Command, args []string) error {
			if commas && a.output != outputCSV {
				return errNotCSV
			}
			s, err := a.openNaming(c, org, integration, args[0])
			if err != nil {
				return err
			}
			defer s.close()
			if a.output == outputCSV {
				return s.writeVouchers(c.OutOrStdout(), integration, args[0], dialectOf(commas))
			}
			sources, _ := a.sources() // without them, that another source cannot be read is a note
			var r chainReport
			var last exports.Export
			err = runlog.Snapshot(c.Context(), s.db, func(db runlog.Beginner) error {
				t, err := s.chain(db, integration, args[0])
				if err != nil {
					return err
				}
				last = t.Last()
				views, err := s.views(db, t.Chain)
				if err != nil {
					return err
				}
				r.Period = views[0]
				if err := r.read(c.Context(), db, t.Chain, details); err != nil {
					return err
				}
				r.CameLater, err = outlook.CameLater(c.Context(), db, sources, t.Chain, s.askSchedule, time.Now())
				return err
			})
			if err != nil {
				return err
			}
			r.Call = a.liveCall(c.Context(), c.ErrOrStderr(), last)
			if a.output == outputJSON {
				return printJSON(c.OutOrStdout(), r)
			}
			return r.print(c.OutOrStdout(), time.Now())
		},
	}
	organizationFlag(c, &org)
	integrationOfPeriodFlag(c, &integration)
	c.Flags().BoolVar(&details, "details", false, "show each export with its IDs and requests, and each entry, too")
	decimalCommaFlag(c, &commas)
	return printsCSV(c)
}

var errNotCSV = usage("--decimal-comma goes with -o csv: add that, or leave it out")

func decimalCommaFlag(c *cobra.Command, into *bool) {
	c.Flags().BoolVar(into, "decimal-comma", false, "with -o csv: semicolons between columns and a decimal comma")
}

func dialectOf(commas bool) statement.Dialect {
	if commas {
		return statement.CommaDialect
	}
	return statement.PointDialect
}

// chainReport is what exports show prints.
type chainReport struct {
	statement.Period
	Vouchers     []statement.Voucher `json:"vouchers"`     // of which something is not exported, or with an error at the vendor
	MoreVouchers int                 `json:"moreVouchers"` // that are not listed; -o csv lists all
	Resolutions  []runlog.Resolution `json:"resolutions"`
	CameLater    outlook.Later       `json:"cameLater"`           // dated in the period, and with no export yet
	Call         *liveCall           `json:"call,omitempty"`      // of a pending export
	ChunkSize    int                 `json:"chunkSize,omitempty"` // entries per request with which the next run begins, if less than in the file
	Details      []exportDetail      `json:"details,omitempty"`   // of each export, with --details
}

// maxVouchers is how many vouchers exports show lists, and are read at once.
const maxVouchers = 1000

// read fills in what the database knows.
func (r *chainReport) read(ctx context.Context, db runlog.Beginner, c exports.Chain, details bool) error {
	organization := c.First().OrganizationID
	list, more, err := runlog.ListVouchers(ctx, db, organization, c, false, "", maxVouchers)
	r.Vouchers, r.MoreVouchers, r.Resolutions = statement.OfVouchers(list), more, []runlog.Resolution{}
	for _, e := range c.Exports {
		resolved, listErr := runlog.ListResolutions(ctx, db, organization, e.ID)
		r.Resolutions, err = append(r.Resolutions, resolved...), errors.Join(err, listErr)
		if details {
			d := exportDetail{ExportID: e.ID, export: e}
			err = errors.Join(err, d.read(ctx, db))
			r.Details = append(r.Details, d)
		}
	}
	contract, contractErr := runlog.LoadContract(ctx, db, organization, c.First().IntegrationID)
	if contract.ChunkSize < contract.ChunkFull {
		r.ChunkSize = contract.ChunkSize
	}
	return errors.Join(err, contractErr)
}

func (r chainReport) print(w io.Writer, now time.Time) error {
	if err := sayLines(w, r.Headline()); err != nil {
		return err
	}
	if err := sayLines(w, r.CameLater.Words); err != nil {
		return err
	}
	if r.CameLater.Note != "" {
		say(w, "note: %s", r.CameLater.Note)
	}
	rows := r.FactRows(now)
	if r.Call != nil {
		rows = append(rows, []string{"call", r.Call.words(now)})
	}
	if r.ChunkSize > 0 {
		rows = append(rows, []string{"next run", "begins with " + count(r.ChunkSize, "entry") + " in a request, the size that worked"})
	}
	tables := [][][]string{rows}
	if len(r.Exports) > 1 {
		tables = append(tables, r.PartRows(now))
	}
	if len(r.Vouchers) > 0 {
		tables = append(tables, statement.VoucherRows(r.Vouchers, r.State == exports.ChainRunning, now))
	}
	if len(r.Resolutions) > 0 {
		tables = append(tables, resolutionRows(r.Resolutions, now))
	}
	for _, rows := range tables {
		say(w, "")
		if err := table(w, rows); err != nil {
			return err
		}
		if rows[0][0] == "VOUCHER" && r.MoreVouchers > 0 {
			say(w, "%d more: -o csv writes all", r.MoreVouchers)
		}
	}
	for _, d := range r.Details {
		if err := d.print(w, now); err != nil {
			return err
		}
	}
	return nil
}

func resolutionRows(list []runlog.Resolution, now time.Time) [][]string {
	rows := [][]string{{"RESOLVED", "VOUCHER", "THERE", "ENTRIES", "BY", "REASON"}}
	for _, r := range list {
		rows = append(rows, []string{
			r.ResolvedAt.In(now.Location()).Format("2006-01-02 15:04 MST"), r.VoucherID, map[bool]string{true: "yes", false: "no"}[r.AtVendor], fmt.Sprint(r.Entries), r.Actor, r.Reason,
		})
	}
	return rows
}

// writeVouchers writes all vouchers of a chain as CSV. They are read in one snapshot, which
// does not wait for whoever reads what is written.
func (s *session) writeVouchers(w io.Writer, integration, which string, d statement.Dialect) error {
	var file bytes.Buffer
	err := runlog.Snapshot(s.command.Context(), s.db, func(db runlog.Beginner) error {
		t, err := s.chain(db, integration, which)
		if err != nil {
			return err
		}
		if err := statement.WriteCSVHeader(&file, d); err != nil {
			return err
		}
		p := statement.Of(t.Chain, time.Now(), nil)
		for after := ""; ; {
			list, _, err := runlog.ListVouchers(s.command.Context(), db, s.organization, t.Chain, true, after, maxVouchers)
			if err != nil {
				return err
			}
			if err := statement.WriteCSV(&file, d, p, statement.OfVouchers(list)); err != nil || len(list) < maxVouchers {
				return err
			}
			after = list[len(list)-1].ID
		}
	})
	if err != nil {
		return err
	}
	control(w, statement.ByteOrderMark)
	_, err = file.WriteTo(w)
	return err
}

// liveCall is the call of a pending export as Temporal sees it.
type liveCall struct {
	State         engine.State    `json:"state"` // running or waiting
	Attempts      []calls.Attempt `json:"attempts"`
	NextAttemptAt *time.Time      `json:"nextAttemptAt,omitempty"`
	Reason        string          `json:"reason,omitempty"` // why it waits
}

// liveCall returns the call of a pending export, or nil if it has none now.
func (a *app) liveCall(ctx context.Context, words io.Writer, e exports.Export) *liveCall {
	if e.Status != exports.Pending {
		return nil
	}
	temporal, _, err := a.temporal(ctx)
	if err != nil {
		say(words, "note: %v; showing the audit record only", err)
		return nil
	}
	defer temporal.Close()
	live, err := engine.ExportStatus(ctx, temporal, e.WorkflowID)
	if err != nil {
		say(words, "note: Temporal does not have the state of its run: %v", err)
		return nil
	}
	if live.State != engine.Running && live.State != engine.Waiting {
		return nil
	}
	return &liveCall{live.State, calls.AttemptsOf(live.Trail), live.NextAttemptAt, live.Reason}
}

// words are the call in one line.
func (l liveCall) words(now time.Time) string {
	var last calls.Attempt
	if n := len(l.Attempts); n > 0 {
		last = l.Attempts[n-1]
	}
	switch {
	case l.NextAttemptAt != nil:
		s := fmt.Sprintf("attempt %d failed (%s %s), the next one is at %s", last.Number, last.ErrorClass, last.Kind, l.NextAttemptAt.In(now.Location()).Format("15:04:05 MST"))
		if l.Reason != "" {
			s += ": " + l.Reason
		}
		return s
	case l.Reason != "":
		return l.Reason
	default:
		return fmt.Sprintf("attempt %d is under way", max(1, last.Number))
	}
}
