package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/outlook"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
)

var until = time.Date(2026, 11, 23, 12, 34, 56, 0, time.UTC)

// People see first whether a period is complete, then what is known of each voucher, and
// engineers each export as it was closed.
func TestExportReport(t *testing.T) {
	now := until.Add(-3 * time.Minute)
	e := exports.Export{
		ID: uuid.New(), AdapterName: "xledger", Status: exports.Pending, Period: "2026-10", PeriodStart: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC),
		PeriodEnd: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), DeferredUntil: &until, TriggeredBy: "kari@example", Trigger: exports.ByHand,
	}
	one := exports.Count{Entries: 2, Vouchers: 1, Amounts: map[string]string{"NOK": "3200"}}
	chain := exports.Chain{Exports: []exports.Export{e}, Integration: "xledger-main", Planned: true, Counts: map[exports.Outcome]exports.Count{exports.WasRefused: one, exports.IsWaiting: one}}
	s := chainReport{
		Period: statement.Of(chain, now, map[uuid.UUID]exports.WaitFacts{e.ID: {Vendor: "Xledger", DeferredUntil: until, DeferredFor: classify.Unavailable}}),
		Vouchers: statement.OfVouchers([]runlog.Voucher{
			{ID: "v1", Date: e.PeriodStart, Text: "rent", Outcome: exports.WasRefused, Parts: []runlog.VoucherPart{{Outcome: exports.WasRefused, Entries: 2, Amounts: one.Amounts, Reason: "no such account"}}},
			{ID: "v2", Date: e.PeriodStart, Outcome: exports.IsWaiting, Parts: []runlog.VoucherPart{{Outcome: exports.IsWaiting, Entries: 2, Amounts: one.Amounts}}, OpenUntil: &until},
		}),
		MoreVouchers: 7,
		CameLater:    outlook.Later{Words: []string{"besides, 2 entries came later"}, Note: "the source is not there"},
		Resolutions:  []runlog.Resolution{{VoucherID: "v3", AtVendor: true, Entries: 2, Actor: "kari@example", Reason: "seen", ResolvedAt: until}},
	}
	var out bytes.Buffer
	require.NoError(t, s.print(&out, now))
	require.Regexp(t, `^October 2026 is being exported: 0 of 4 entries in 2 vouchers at the vendor, 1 was refused
Xledger is not available \(HTTP 503\); the next try is at 12:34 UTC; nothing is to be done: it tries again by itself
besides, 2 entries came later
note: the source is not there

`, out.String())
	for _, want := range []string{
		`period +1–31 October 2026, to xledger-main`, `refused +2 entries in 1 voucher, NOK 3,200.00`, `started .* by kari@example \(manual\)`,
		`v1 +2026-10-01 +rent +NOK 3,200.00 +refused +no such account`, `v2 +2026-10-01 +- +NOK 3,200.00 +waiting +it was sent, and can take effect until 12:34 UTC \(in 3 min\)`,
		`7 more: -o csv writes all`, `2026-11-23 12:34 UTC +v3 +yes +2 +kari@example +seen`,
	} {
		require.Regexp(t, want, out.String())
	}
	encoded, err := json.Marshal(s)
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(encoded, &got))
	require.Equal(t, map[string]any{
		"voucherId": "v1", "date": "2026-10-01", "text": "rent", "state": "refused", "amounts": map[string]any{"NOK": "3200.00"}, "entries": 2.0, "late": false, "lateError": false,
		"message": "no such account", "exportId": uuid.Nil.String(),
	}, got["vouchers"].([]any)[0])
	require.Equal(t, 7.0, got["moreVouchers"])
	require.Equal(t, "Xledger is not available (HTTP 503); the next try is at 12:34 UTC; nothing is to be done: it tries again by itself", got["waiting"])
	require.Equal(t, map[string]any{"entries": 4.0, "vouchers": 2.0, "amounts": map[string]any{"NOK": "6400.00"}}, got["missing"])

	// After the end the row stands as it was closed, and what changed since is apart; that it
	// was deferred is over.
	e.Status, e.Total, e.Exported, e.Unknown = exports.Failed, 9, 2, 2
	d := exportDetail{export: e, Entries: statement.Counts{Total: 9, Exported: 4, Refused: 1, Planned: 4}, Problems: []statement.Problem{
		{VoucherID: "v1", EntryID: "e1", State: "sent", Effect: classify.Open, OpenUntil: &until}, {VoucherID: "v2", EntryID: "e2", State: "unknown", Effect: classify.Open}}}
	out.Reset()
	require.NoError(t, d.print(&out, now.In(time.FixedZone("CET", 3600))))
	require.Regexp(t, `entries +9: 2 exported, 0 refused, 2 unknown, 5 not sent\n`, out.String())
	require.Regexp(t, `now +9: 4 exported, 1 refused, 0 unknown, 4 planned; changed after it had ended`, out.String())
	require.Regexp(t, `v1 +e1 +sent +open until 2026-11-23 13:34:56 CET +-`, out.String())
	require.Regexp(t, `v2 +e2 +unknown +open +-`, out.String())
	require.NotContains(t, out.String(), "deferred")
	require.Nil(t, statement.OfExport(e).DeferredUntil)
}

// What is wrong with a command line is said before anything is asked for.
func TestResolveAndProveFlags(t *testing.T) {
	t.Setenv("LEDGERLINE_ORG", uuid.NewString())
	id := uuid.NewString()
	resolve := []string{"exports", "resolve", id}
	for want, args := range map[string][]string{
		"--voucher is missing":              append(resolve, "--there", "--reason", "x"),
		"want --there or --not-there":       append(resolve, "--voucher", "v", "--reason", "x"),
		"want --there or --not-there, as":   append(resolve, "--voucher", "v", "--reason", "x", "--there", "--not-there"),
		"--reason is missing":               append(resolve, "--voucher", "v", "--there", "--reason", " "),
		"--reason: 501 bytes":               append(resolve, "--voucher", "v", "--there", "--reason", strings.Repeat("x", 501)),
		"takes a period or the ID":          {"exports", "resolve"},
		"EXPORT \"x\": want a period":       {"exports", "resolve", "x", "--voucher", "v", "--there", "--reason", "x"},
		"or --period and --integration":     {"exports", "prove"},
		"not both":                          {"exports", "prove", id, "--period", "2026-10", "--integration", "x"},
		"--adopt needs both":                {"exports", "prove", "--adopt"},
		"belong together":                   {"exports", "prove", "--period", "2026-10"},
		"--period: ":                        {"exports", "prove", "--period", "soon", "--integration", "x"},
		"--idempotent: a ping":              {"call", "--integration", "x", "--operation", "ping", "--idempotent"},
		"--body goes with a new call":       {"call", "--again", "3f2a", "--body", "{}"},
		"--again \"3f\": ":                  {"call", "--again", "3f"},
		"--correlation-id 00000000-0000-10": {"call", "--integration", "x", "--operation", "ping", "--correlation-id", "00000000-0000-1000-8000-000000000000"},
	} {
		var out, words bytes.Buffer
		require.Equal(t, exitUsage, run(t.Context(), args, strings.NewReader(""), &out, &words), "%v: %s", args, words.String())
		require.Contains(t, words.String(), want)
		require.Empty(t, out.String())
	}
}

func TestPrintResolution(t *testing.T) {
	var out bytes.Buffer
	r := runlog.Resolution{ExportID: uuid.New(), VoucherID: "v1", Entries: 2, Reason: "seen", Actor: "kari"}
	require.NoError(t, (&app{output: outputTable}).printResolution(&out, r, "2026-10 --integration books"))
	require.Equal(t, "voucher v1: 2 entries to be sent again by starter exports retry 2026-10 --integration books\n", out.String())
	out.Reset()
	r.AtVendor = true
	require.NoError(t, (&app{output: outputJSON}).printResolution(&out, r, "2026-10 --integration books"))
	require.JSONEq(t, `{"exportId":"`+r.ExportID.String()+`","voucherId":"v1","atVendor":true,"entries":2,"reason":"seen","actor":"kari"}`, out.String())
}

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"1 entry": count(1, "entry"), "0 entries": count(0, "entry"), "2 vouchers": count(2, "voucher"), "1 chunk": count(int64(1), "chunk"),
	} {
		require.Equal(t, want, got)
	}
}

func TestWhoami(t *testing.T) {
	t.Setenv("LEDGERLINE_ACTOR", " kari@example ")
	require.Equal(t, "kari@example", whoami())
	t.Setenv("LEDGERLINE_ACTOR", strings.Repeat("å", 200))
	require.Equal(t, strings.Repeat("å", 200), whoami())
	for wrong, says := range map[string]string{
		"kari\n@example":         "LEDGERLINE_ACTOR has the control character U+000A at its character 5; want your name or address",
		"kari\u202e":             "LEDGERLINE_ACTOR has the invisible character U+202E",
		strings.Repeat("å", 201): "LEDGERLINE_ACTOR has 201 characters; want your name or address, at most 200",
	} {
		t.Setenv("LEDGERLINE_ACTOR", wrong)
		var out, words bytes.Buffer
		require.Equal(t, exitUsage, run(t.Context(), []string{"sync", "--org", uuid.NewString()}, strings.NewReader(""), &out, &words))
		require.Contains(t, words.String(), says)
	}
	t.Setenv("LEDGERLINE_ACTOR", "")
	host, err := os.Hostname()
	require.NoError(t, err)
	require.Regexp(t, `^[^@]+@`+host, whoami())
}
