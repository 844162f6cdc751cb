package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/statement"
	"github.com/ledgerline/ledgerline/zones"
)

// vouchers of the demo's export that the vendor takes; two lines each, so that
// they make three requests.
const vouchers = 600

// export shows a scheduled export: the schedule fires at the next full minute,
// the connection is reset after the vendor has stored the first chunk, and the
// worker is killed while it waits for the answer to the second.
func (d *demo) export(ctx context.Context, stack *devstack.Stack) error {
	zone, err := zones.Load(integrations.DefaultTimeZone)
	if err != nil {
		return err
	}
	fires, sameDay := nextFiring(time.Now().In(zone))
	if !sameDay { // what it exports has not ended yet, and a dry run of that would be refused
		fmt.Fprintf(d.out, "   waiting for midnight, %s …\n", fires.Format("15:04:05 MST"))
		if err := until(ctx, 2*time.Minute, func() (bool, error) { return !time.Now().Before(fires), nil }); err != nil {
			return err
		}
		fires, _ = nextFiring(time.Now().In(zone))
	}
	yesterday := fires.AddDate(0, 0, -1).Format(time.DateOnly)
	entries, err := stack.File("entries.csv", entriesOf(yesterday))
	if err != nil {
		return err
	}
	scheduled := strings.Replace(d.file(stack), "    credentials: {token: file:xledger-token}\n",
		fmt.Sprintf("    credentials: {token: file:xledger-token}\n    schedule: {every: daily, at: %q}\n", fires.Format("15:04")), 1)
	file, err := stack.File("scheduled.yaml", scheduled)
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"entries", "import", "--org", d.organization, "-f", entries},
		{"integrations", "apply", "-f", file},
		{"sync", "--org", d.organization, "--integration", "xledger-main", "--period", yesterday, "--dry-run"},
	} {
		fmt.Fprintf(d.out, "   $ starter %s\n", strings.Join(args, " "))
		if _, err := d.run(ctx, args...); err != nil {
			return err
		}
	}
	stack.Sandbox.Reset()
	stack.Sandbox.Script(
		sandbox.Rule{Match: sandbox.Match{Operation: "addGLImportItems"}, Times: 1, Reset: sandbox.AfterEffect},
		sandbox.Rule{Match: sandbox.Match{Operation: "addGLImportItems"}, Times: 1, DripMS: 500},
	)
	fmt.Fprintf(d.out, "   waiting for %s, when the schedule fires …\n", fires.Format("15:04:05 MST"))
	mutations := func(n int) bool {
		found := 0
		for _, e := range stack.Sandbox.Log() {
			if e.Operation == "addGLImportItems" {
				found++
			}
		}
		return found >= n
	}
	if err := until(ctx, 2*time.Minute, func() (bool, error) { return mutations(1), nil }); err != nil {
		return fmt.Errorf("the schedule did not fire: %w", err)
	}
	fmt.Fprintln(d.out, "   it fired; the first chunk is stored and its connection reset before the answer")
	if err := until(ctx, time.Minute, func() (bool, error) { return mutations(2), nil }); err != nil {
		return err
	}
	d.worker.Kill()
	fmt.Fprintln(d.out, "   the worker is killed while the vendor answers the second chunk, and another one starts")
	if err := d.startWorker(ctx, stack); err != nil {
		return err
	}
	var e statement.Export
	err = until(ctx, 2*time.Minute, func() (bool, error) {
		raw, err := d.quiet(ctx, "exports", "list", "--org", d.organization, "-o", "json")
		var list struct {
			Periods []statement.Period `json:"periods"`
		}
		if err != nil || json.Unmarshal(raw, &list) != nil || len(list.Periods) != 1 {
			return false, err
		}
		e = list.Periods[0].Exports[0]
		return e.Status != exports.Pending, nil
	})
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"exports", "show", yesterday, "--integration", "xledger-main", "--org", d.organization},
		{"exports", "prove", yesterday, "--integration", "xledger-main", "--org", d.organization},
		{"ticks", "list", "--org", d.organization},
	} {
		fmt.Fprintf(d.out, "   $ starter %s\n", strings.Join(args, " "))
		if _, err := d.run(ctx, args...); err != nil {
			return err
		}
	}
	effects := make(map[string]int)
	for _, f := range stack.Sandbox.Effects() {
		effects[f.Key]++
	}
	fmt.Fprintf(d.out, "   the vendor's own list: %d entries, each once\n", len(effects))
	switch {
	case e.Status != exports.Complete || e.Exported != 2*vouchers || e.Refused != 4 || e.Trigger != exports.BySchedule:
		return fmt.Errorf("announced complete with %d exported and 4 refused by schedule; it is %s with %d and %d by %s",
			2*vouchers, e.Status, e.Exported, e.Refused, e.Trigger)
	case len(effects) != 2*vouchers || len(stack.Sandbox.Effects()) != 2*vouchers:
		return fmt.Errorf("announced %d effects at the vendor, each once; there are %d of %d entries", 2*vouchers, len(stack.Sandbox.Effects()), len(effects))
	}
	return nil
}

// nextFiring is the full minute that comes next and is 10 seconds away at least; sameDay if
// that is no later than the day of now.
func nextFiring(now time.Time) (fires time.Time, sameDay bool) {
	fires = now.Truncate(time.Minute).Add(time.Minute)
	if fires.Sub(now) < 10*time.Second {
		fires = fires.Add(time.Minute)
	}
	return fires, fires.YearDay() == now.YearDay()
}

// entriesOf is a file of entries: vouchers that are fine, one whose account the
// vendor does not know, and one that does not sum to zero.
func entriesOf(day string) string {
	var b strings.Builder
	b.WriteString("entry_id,voucher_id,entry_date,account,amount,currency,text\n")
	voucher := func(name, account, credit string) {
		fmt.Fprintf(&b, "%[1]s-1,%[1]s,%[2]s,1920,250.00,NOK,Kontingent\n%[1]s-2,%[1]s,%[2]s,%[3]s,-%[4]s,NOK,Kontingent\n", name, day, account, credit)
	}
	for i := range vouchers {
		voucher(fmt.Sprintf("K%04d", i), "3900", "250.00")
	}
	voucher("U0001", "X999", "250.00")
	voucher("W0001", "3900", "249.99")
	return b.String()
}

// until asks again and again until it is so.
func until(ctx context.Context, limit time.Duration, is func() (bool, error)) error {
	for deadline := time.Now().Add(limit); ; {
		ok, err := is()
		if ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v", limit)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
