package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// line is an entry as the database has it.
type line struct {
	Organization, Integration uuid.UUID
	ID                        string
	Export                    uuid.UUID
	State, Key                string
	Reference                 string
	LateError                 bool // the vendor found an error in it later
}

// effects are the sandbox's effects by key, and how often each was made. An
// upsert that changed nothing is none.
func (s *soak) effects() map[string]int {
	there := make(map[string]int)
	for _, e := range s.stack.Sandbox.Effects() {
		if !slices.Contains([]string{"upsert_again", "delete", "journal_post"}, e.Kind) {
			there[e.Key]++
		}
	}
	return there
}

// beside holds for requests that are no attempt: a run's warm-up, the token of
// one, and what is answered with a fresh token in the same attempt.
func beside(e sandbox.LogEntry) bool {
	return e.Vendor == "entra" || e.Status == 401 && e.Vendor != "xledger" || slices.Contains([]string{"__typename", "WhoAmI", "companies"}, e.Operation)
}

// check compares everything with its oracle.
func (s *soak) check(ctx context.Context) error {
	lines, err := rowsOf[line](ctx, s, `SELECT organization_id, integration_id, entry_id, export_id, state, vendor_key,
		coalesce(vendor_reference, ''), late_error IS NOT NULL FROM ledgerline.export_entries`)
	if err != nil {
		return err
	}
	s.equation(lines)
	if err := s.audit(ctx, lines); err != nil {
		return err
	}
	histories, err := s.histories(ctx)
	if err != nil {
		return err
	}
	if err := s.attempts(ctx, histories); err != nil {
		return err
	}
	if err := s.clean(ctx, histories); err != nil {
		return err
	}
	if err := s.ticks(ctx); err != nil {
		return err
	}
	s.faultsFired()
	r := s.report
	s.say("%d entries: %d exported, %d rejected, %d unknown, %d never planned; %d effects, %d duplicates; %d exports, %d attempts, %d of them failed",
		r.entries, r.exported, r.rejected, r.unknown, r.never, r.effects, r.duplicates, r.periods, r.attempts, r.failed)
	return nil
}

// equation: entries = exported + rejected + unknown + never planned, and the
// effects at the vendor are the exported ones, each once.
func (s *soak) equation(lines []line) {
	there := s.effects()
	found := make(map[uuid.UUID]map[string]line)
	for _, l := range lines {
		if found[l.Integration] == nil {
			found[l.Integration] = make(map[string]line)
		}
		found[l.Integration][l.ID] = l
		if b := s.bookOf(l.Integration); b.organization != l.Organization {
			s.violated("organizations apart: entry %s of %s is of organization %s", l.ID, b.name, l.Organization)
		}
	}
	ours := make(map[string]bool)
	for _, b := range s.plan.books {
		n, twice := map[string]int{}, map[string]bool{}
		for _, id := range slices.Sorted(maps.Keys(b.entries)) {
			e := b.entries[id]
			l, planned := found[b.id][id]
			delete(found[b.id], id)
			key, state := b.key(id), never
			if planned {
				state = l.State
			}
			ours[key] = true
			s.report.entries++
			n[state]++
			if n[state+e.fate]++; state != e.fate && n[state+e.fate] <= 3 {
				s.violated("entries: %s %s is %s and should be %s; %d times at the vendor", b.name, id, state, e.fate, there[key])
			}
			if planned && l.Key != key {
				s.violated("entries: %s %s has the vendor key %s; want %s", b.name, id, l.Key, key)
			}
			if state == exported {
				s.asKept(b, e, l)
			}
			switch at := there[key]; {
			case at > 1:
				s.report.duplicates += at - 1
				if story := s.story(key); !twice[story] { // of each request one entry is enough
					twice[story] = true
					s.violated("exactly once: %s %s is at the vendor %d times: %s", b.name, id, at, story)
				}
			case (at == 1) != (state == exported):
				s.violated("exactly once: %s %s is %s and %d times at the vendor: %s", b.name, id, state, at, s.story(key))
			}
		}
		for id := range found[b.id] {
			s.violated("entries: %s %s was never imported", b.name, id)
		}
		open := n[string(exports.Planned)] + n[string(exports.Sent)] + n[string(exports.Unknown)]
		s.report.exported, s.report.rejected, s.report.never = s.report.exported+n[exported], s.report.rejected+n[rejected], s.report.never+n[never]
		s.report.unknown += open
		if sum := n[exported] + n[rejected] + n[never] + open; sum != len(b.entries) || open > 0 {
			s.violated("equation %s: %d entries, %v", b.name, len(b.entries), n)
		}
	}
	for key := range there {
		if s.report.effects++; !ours[key] {
			s.violated("exactly once: the vendor has a key that is no entry's: %s", key)
		}
	}
}

// asKept compares an exported entry with the record that the vendor has of it
// now: one, under the name that was kept, of this amount on this account. An error
// that the vendor found later is known.
func (s *soak) asKept(b *book, e entry, l line) {
	where := fmt.Sprintf("vendor's record of %s %s", b.name, e.id)
	records := s.stack.Sandbox.Records(l.Key)
	if s.deleted[l.Key] && len(records) == 0 {
		return
	}
	if len(records) != 1 {
		s.violated("exactly once: %s is there %d times", where, len(records))
		return
	}
	content := string(records[0].Content)
	amount := regexp.MustCompile(`mount":"?` + regexp.QuoteMeta(e.amount()) + `["},]`)
	if !amount.MatchString(content) || !strings.Contains(content, `"`+e.account+`"`) {
		s.violated("%s has not the amount %s on account %s: %s", where, e.amount(), e.account, content)
	}
	if l.Reference != records[0].Reference && !(s.resolved[l.Key] && l.Reference == "") {
		s.violated("%s is %s, and we know it as %q", where, records[0].Reference, l.Reference)
	}
	if late := b.vendor.late && strings.HasPrefix(e.account, "L"); late != l.LateError {
		s.violated("%s has a late error there: %v; known here: %v", where, late, l.LateError)
	}
}

// story is what the vendor saw under the correlations that stored an entry, for
// the one who looks for a defect.
func (s *soak) story(key string) string {
	under := make(map[string]bool)
	for _, e := range s.stack.Sandbox.Effects() {
		under[e.CorrelationID] = under[e.CorrelationID] || e.Key == key
	}
	var parts []string
	for _, e := range s.stack.Sandbox.Log() {
		if under[e.CorrelationID] {
			parts = append(parts, fmt.Sprintf("%s %s %s status %d rule %d effects %d", e.At.Format("15:04:05.000"), e.CorrelationID[:8], e.Operation, e.Status, e.Rule, e.Effects))
		}
	}
	return strings.Join(parts, "; ")
}

// auditRow is an export's row.
type auditRow struct {
	Organization, Integration, ID      uuid.UUID
	Period, Status, WorkflowID, SHA256 string
	Total, Exported, Rejected, Unknown int
	Amounts                            map[string]string
	ErrorClass                         string
	Finished                           bool
}

// audit computes again, from the source, what each closed export's row says.
func (s *soak) audit(ctx context.Context, lines []line) error {
	rows, err := rowsOf[auditRow](ctx, s, `SELECT organization_id, integration_id, export_id, period, status, workflow_id, coalesce(sha256, ''),
		entries_total, entries_exported, entries_rejected, entries_unknown, amounts, coalesce(error_class, ''), finished_at IS NOT NULL
		FROM ledgerline.bufdir_export_audit_log`)
	if err != nil {
		return err
	}
	of := make(map[uuid.UUID][]line)
	for _, l := range lines {
		of[l.Export] = append(of[l.Export], l)
	}
	for _, r := range rows {
		s.report.periods++
		b := s.bookOf(r.Integration)
		where := fmt.Sprintf("audit row of %s %s (%s)", b.name, r.Period, r.ID)
		if b.organization != r.Organization || !strings.Contains(r.WorkflowID, b.organization.String()+"/"+b.id.String()) {
			s.violated("organizations apart: %s: organization %s, workflow %s", where, r.Organization, r.WorkflowID)
		}
		if r.Status == string(exports.Pending) || !r.Finished {
			s.violated("settled: %s is %s", where, r.Status)
			continue
		}
		var sent []line
		for _, l := range of[r.ID] {
			if l.State == exported && !s.resolved[l.Key] { // what people resolved is not in the row
				sent = append(sent, l)
			}
		}
		sum, debit := digest(b, sent)
		if len(sent) != r.Exported || sum != r.SHA256 {
			s.violated("%s says %d exported, SHA-256 %s; the source gives %d, %s", where, r.Exported, r.SHA256, len(sent), sum)
		}
		if got := r.Amounts["NOK"]; cmp.Or(got, "0.00") != debit || len(r.Amounts) > 1 {
			s.violated("%s says %v; the source gives NOK %s", where, r.Amounts, debit)
		}
		if r.Status == string(exports.Complete) && (r.Total != r.Exported+r.Rejected || r.Unknown > 0 || r.ErrorClass != "") {
			s.violated("%s is complete with %d entries, %d exported, %d rejected, %d unknown, error %q", where, r.Total, r.Exported, r.Rejected, r.Unknown, r.ErrorClass)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if _, err := s.admin.Exec(ctx, `UPDATE ledgerline.bufdir_export_audit_log SET status = 'pending', finished_at = NULL WHERE export_id = $1`, rows[0].ID); err == nil {
		s.violated("one way: a superuser could make export %s pending again", rows[0].ID)
	}
	return nil
}

// digest is the SHA-256 over the canonical lines of entries, and the sum of
// what they debit, from what was imported.
func digest(b *book, sent []line) (sum, debit string) {
	slices.SortFunc(sent, func(x, y line) int { return strings.Compare(b.key(x.ID), b.key(y.ID)) })
	h, total := sha256.New(), new(big.Rat)
	for _, l := range sent {
		e := b.entries[l.ID]
		fmt.Fprintf(h, "%s\t%s\t%s\t%s\tNOK\t%s\n", b.key(l.ID), e.voucher, e.account, e.amount(), e.date.Format("2006-01-02"))
		if e.cents > 0 {
			total.Add(total, big.NewRat(e.cents, 100))
		}
	}
	return hex.EncodeToString(h.Sum(nil)), total.FloatString(2)
}

// faultsFired: every fault that was planned has met something, but for a few that were
// too late for their runs.
func (s *soak) faultsFired() {
	for name, numbers := range s.scripted {
		each := len(numbers) / s.planned[name]
		for i := 0; i < len(numbers); i += each {
			if !slices.ContainsFunc(numbers[i:i+each], func(n int) bool { return s.stack.Sandbox.Fired(n) == 0 }) {
				s.met(name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.planned)) {
		if s.fired[name] < s.planned[name] {
			s.violated("fault %s was planned %d times and fired %d times", name, s.planned[name], s.fired[name])
		}
	}
	s.report.fired = s.count(s.fired)
	if all := s.count(s.planned) + s.report.overtaken; 10*s.report.overtaken >= all {
		s.violated("%d of %d faults were too late for their runs, which had failed by others", s.report.overtaken, all)
	}
}
