package words_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/console/words"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

var update = flag.Bool("update", false, "write the golden files anew: go test ./console/words -update")

// golden compares what is said in both languages with a file, which is there to be read:
// no-break spaces are shown as _.
func golden(t *testing.T, name string, say func(p *words.Printer) []string) {
	t.Helper()
	for _, p := range []*words.Printer{nb, en} {
		file := filepath.Join("testdata", name+"."+string(p.Language())+".txt")
		got := strings.ReplaceAll(strings.Join(say(p), "\n")+"\n", "\u00a0", "_")
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err, "run go test ./console/words -update, and read what it writes")
		require.Equal(t, string(want), got, file)
	}
}

func counted(entries, vouchers int, amount string) exports.Count {
	return exports.Count{Entries: entries, Vouchers: vouchers, Amounts: map[string]string{"NOK": amount}}
}

type counts = map[exports.Outcome]exports.Count

// chains are one for each sentence that there is, and its joints.
func chains() map[string]exports.Chain {
	export := func(status exports.Status, code classify.Kind) exports.Export {
		return exports.Export{Period: "2026-10", AdapterName: "xledger", Status: status, ErrorCode: code}
	}
	done, failed, pending := export(exports.Complete, ""), export(exports.Failed, classify.Unauthorized), export(exports.Pending, "")
	adopted := exports.Export{Period: "2026-10", AdapterName: "businesscentral", Status: exports.Pending, Trigger: exports.ByAdopting}
	week := exports.Export{Period: "2026-W45", AdapterName: "dataverse", Status: exports.Complete}
	of := func(e exports.Export, n counts) exports.Chain {
		return exports.Chain{Exports: []exports.Export{e}, Planned: true, Counts: n}
	}
	all := map[string]exports.Chain{
		"01 some are refused":     of(done, counts{exports.WasExported: counted(320, 80, "22780.00"), exports.WasRefused: counted(32, 8, "1140.00")}),
		"02 all arrived":          of(done, counts{exports.WasExported: counted(352, 88, "23920.00")}),
		"03 one arrived":          of(week, counts{exports.WasExported: counted(2, 1, "1.50")}),
		"04 one was refused":      of(week, counts{exports.WasRefused: counted(2, 1, "1.50")}),
		"05 all were refused":     of(done, counts{exports.WasRefused: counted(32, 8, "1140.00")}),
		"06 nothing was due":      of(done, nil),
		"07 all was withdrawn":    of(done, counts{exports.WasWithdrawn: counted(4, 2, "9.00")}),
		"08 one was withdrawn":    of(done, counts{exports.WasExported: counted(80, 20, "100.00"), exports.WasWithdrawn: counted(4, 1, "9.00")}),
		"09 every outcome":        of(failed, counts{exports.WasExported: counted(4, 2, "0.30"), exports.WasRefused: counted(2, 1, "0.10"), exports.IsWaiting: counted(4, 2, "1000000.00"), exports.IsUnknown: counted(2, 1, "5"), exports.WasWithdrawn: counted(2, 1, "9.00")}),
		"10 no amounts":           of(done, counts{exports.WasExported: {Entries: 2, Vouchers: 1}, exports.IsUnknown: {Entries: 1, Vouchers: 1}}),
		"11 not sent to the end":  of(failed, counts{exports.WasExported: counted(4, 2, "0.30"), exports.IsWaiting: counted(40, 12, "7000.00")}),
		"12 running":              of(pending, counts{exports.WasExported: counted(160, 40, "11000.00"), exports.IsWaiting: counted(160, 43, "11780.00"), exports.WasRefused: counted(4, 1, "2.00")}),
		"13 running, nothing yet": of(pending, counts{exports.IsWaiting: counted(160, 43, "11780.00")}),
		"14 being planned":        of(pending, nil),
		"15 failed":               {Exports: []exports.Export{failed}},
		"16 failed, no reason":    {Exports: []exports.Export{export(exports.Failed, "")}},
		"17 its retry failed":     {Exports: []exports.Export{export(exports.Failed, classify.TLS), export(exports.Failed, classify.Configuration)}},
		"18 being taken over":     of(adopted, counts{exports.WasExported: counted(1200, 300, "1.00")}),
	}
	adopted.Status = exports.Complete
	all["19 taken over"] = of(adopted, counts{exports.WasExported: counted(1200, 300, "99000.00"), exports.IsUnknown: counted(2, 1, "5.00")})
	late := of(done, counts{exports.WasExported: counted(352, 88, "23920.00")})
	late.LateErrors, late.WithdrawnLines = 1, 1
	all["20 an error came late"] = late
	late.LateErrors, late.WithdrawnLines = 3, 2
	all["21 errors came late"] = late
	elsewhere := of(done, counts{exports.WasExported: counted(352, 88, "23920.00")})
	elsewhere.Elsewhere = []exports.Elsewhere{{Period: "2026-11", Outcome: exports.WasRefused, Count: counted(2, 1, "3200.00")}}
	all["22 refused elsewhere"] = elsewhere
	elsewhere.Elsewhere = []exports.Elsewhere{
		{Period: "2026-11", Outcome: exports.WasRefused, Count: counted(1, 1, "3200.00")}, {Period: "2026-12", Outcome: exports.IsWaiting, Count: counted(1, 1, "2.00")},
		{Period: "2027-01", Outcome: exports.IsUnknown, Count: counted(1, 1, "4.00")}, {Period: "2027-02", Outcome: exports.IsWaiting, Count: counted(2, 1, "2.00")},
		{Period: "2027-03", Outcome: exports.IsUnknown, Count: counted(2, 1, "4.00")}}
	all["23 all elsewhere"] = elsewhere
	euros := of(done, counts{exports.WasExported: {Entries: 4, Vouchers: 2, Amounts: map[string]string{"NOK": "22780.00", "EUR": "5.00"}}})
	all["24 two currencies"] = euros
	return all
}

func TestSentence(t *testing.T) {
	all := chains()
	golden(t, "sentences", func(p *words.Printer) (lines []string) {
		seen := make(map[exports.ChainState]bool)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			seen[all[name].State()] = true
			lines = append(lines, name+": "+p.Sentence(all[name]))
		}
		require.Len(t, seen, len(exports.ChainStates))
		return lines
	})
	require.Equal(t, "October 2026 to Xledger: 80 of 88 vouchers arrived, NOK 22,780.00; 8 refused, NOK 1,140.00", en.Sentence(all["01 some are refused"]))
}

// Every kind of error has its words.
func TestKinds(t *testing.T) {
	golden(t, "kinds", func(p *words.Printer) (lines []string) {
		for _, k := range append(classify.Kinds(), "of_a_later_version") {
			what, remedy := p.Kind(k)
			lines = append(lines, string(k)+": "+what+" "+remedy)
		}
		return lines
	})
	what, _ := nb.KindAt(classify.Business, "xledger")
	require.Equal(t, "Xledger avviste innholdet.", what)
}

// So has everything that a pending export can wait for, and what exports are called by.
func TestWaits(t *testing.T) {
	now := time.Date(2026, 10, 31, 8, 0, 0, 0, oslo)
	facts := []exports.WaitFacts{
		{RunGone: true}, {Paused: true}, {NoWorker: true}, {DeferredUntil: now.Add(time.Hour), DeferredFor: classify.Paused},
		{DeferredUntil: now.Add(time.Hour), DeferredFor: classify.Unavailable}, {OpenUntil: now.Add(24 * time.Hour)}, {},
	}
	golden(t, "waits", func(p *words.Printer) (lines []string) {
		for _, f := range facts {
			r := f.Reason(now)
			what, remedy := p.Waits(r, "xledger", now)
			lines = append(lines, fmt.Sprintf("%s: %s %s", r.For, what, remedy))
		}
		for _, trigger := range exports.Triggers {
			lines = append(lines, string(trigger)+": "+p.Trigger(trigger))
		}
		for _, s := range exports.Statuses {
			lines = append(lines, string(s)+": "+p.Status(s))
		}
		return lines
	})
}

// So has everything that needs a person.
func TestNeeds(t *testing.T) {
	golden(t, "needs", func(p *words.Printer) (lines []string) {
		for _, kind := range words.Needs {
			title, what, remedy := p.Need(kind, "xledger")
			lines = append(lines, fmt.Sprintf("%s: %s. %s %s", kind, title, what, remedy))
		}
		return lines
	})
}

func TestSchedule(t *testing.T) {
	cron := func(text string) integrations.Schedule {
		return integrations.Schedule{Cron: text, TimeZone: "Europe/Oslo", PeriodRule: integrations.DayBefore}
	}
	list := []integrations.Schedule{
		{Every: integrations.Monthly, Day: 3, Hour: 6, Minute: 30, TimeZone: "Europe/Oslo"},
		{Every: integrations.Weekly, Day: 7, Hour: 6, Minute: 5, TimeZone: "Europe/Oslo"},
		{Every: integrations.Daily, Hour: 23, TimeZone: "Europe/London"},
		cron("30 6 * * 1-5"), cron("30 6,18 * * sun,tue,sat"), cron("0 * * * *"), cron("15 * * * *"), cron("1 * 1 * *"), cron("*/10 8-16 * * 1-5"), cron("30 6 1,15 * *"),
		cron("30 6 5 1,7 *"), cron("30 6 * 12 *"), cron("30 6 * 1-3 mon"), cron("never"), {},
	}
	golden(t, "schedules", func(p *words.Printer) (lines []string) {
		for _, s := range list {
			shown, err := json.Marshal(s)
			require.NoError(t, err)
			lines = append(lines, fmt.Sprintf("%s: %s", shown, p.Schedule(s)))
		}
		return lines
	})
	require.Equal(t, "on day 3 of each month at 06:30", en.Schedule(list[0]))
}
