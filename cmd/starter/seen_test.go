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

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

var until = time.Date(2026, 11, 23, 12, 34, 56, 0, time.UTC)

// People see what an export waits for, what is open, and what others have said.
func TestExportReport(t *testing.T) {
	s := exportReport{
		Export:    exports.Export{ID: uuid.New(), AdapterName: "xledger", Status: exports.Pending, Period: "2026-10"},
		Entries:   runlog.Counts{Total: 9, Exported: 2, Rejected: 1, Sent: 2, Planned: 4, Open: 2},
		OpenUntil: &until, Waiting: waitReason("xledger", until),
		Problems:    []runlog.Problem{{VoucherID: "v1", EntryID: "e1", State: exports.Sent, Effect: classify.Open, OpenUntil: &until}, {VoucherID: "v2", EntryID: "e2", State: exports.Unknown, Effect: classify.Open}},
		Resolutions: []runlog.Resolution{{VoucherID: "v3", AtVendor: true, Entries: 2, Actor: "kari@example", Reason: "seen", ResolvedAt: until}},
	}
	var out bytes.Buffer
	require.NoError(t, s.print(&out))
	for _, want := range []string{
		`waiting +until 12:34:56 for what Xledger may still be doing`, `entries +9: 2 exported, 1 rejected, 0 unknown, 2 sent, 4 planned; the effect of 2 is open`,
		`v1 +e1 +sent +open until 12:34:56 +-`, `v2 +e2 +unknown +open +-`, `2026-11-23T12:34:56Z +v3 +yes +2 +kari@example +seen`,
	} {
		require.Regexp(t, want, out.String())
	}
	encoded, err := json.Marshal(s)
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(encoded, &got))
	require.Equal(t, map[string]any{"voucherId": "v1", "entryId": "e1", "state": "sent", "effect": "open", "openUntil": "2026-11-23T12:34:56Z"}, got["problems"].([]any)[0])
	require.Equal(t, 4.0, got["entries"].(map[string]any)["planned"])
	require.Equal(t, "until 12:34:56 for what Xledger may still be doing", got["waiting"])
	require.Contains(t, got, "call")

	// After the end the row stands as it was closed, and what changed since is apart.
	s.Export.Status, s.Export.Total, s.Export.Exported, s.Export.Unknown, s.Waiting = exports.Failed, 9, 2, 2, ""
	s.Entries = runlog.Counts{Total: 9, Exported: 4, Rejected: 1, Planned: 4}
	out.Reset()
	require.NoError(t, s.print(&out))
	require.Regexp(t, `entries +9: 2 exported, 0 rejected, 2 unknown, 5 not sent\n`, out.String())
	require.Regexp(t, `now +9: 4 exported, 1 rejected, 0 unknown, 4 planned; changed after it had ended`, out.String())
	require.NotContains(t, out.String(), "waiting")
}

func TestInvocationReport(t *testing.T) {
	s := invocationReport{CorrelationID: uuid.New(), State: "completed", Source: "table", Actor: "kari@example", Attempts: activities.Trail{
		{Number: 1, EndedAt: until, Class: classify.Transient, Kind: classify.Unavailable, Effect: classify.Open, Ended: true, OpenUntil: until},
		{Number: 2, EndedAt: until, Class: classify.Timeout, Kind: classify.RequestTimeout, Effect: classify.Open, OpenUntil: until.Add(time.Minute)},
	}}
	s.setEffect()
	var out bytes.Buffer
	require.NoError(t, s.print(&out))
	require.Regexp(t, `effect +open until 12:35:56`, out.String())
	require.Regexp(t, `asked by +kari@example`, out.String())
	require.Regexp(t, `1 .*open until 12:34:56`, out.String())
	encoded, err := json.Marshal(s)
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(encoded, &got))
	require.Equal(t, []any{"open", "2026-11-23T12:35:56Z", "kari@example"}, []any{got["effect"], got["openUntil"], got["actor"]})
	require.Equal(t, "open", got["attempts"].([]any)[0].(map[string]any)["effect"])

	ended := invocationReport{Attempts: activities.Trail{
		{Number: 1, EndedAt: until, Class: classify.Permanent, Kind: classify.Business, Effect: classify.Open, Ended: true, OpenUntil: until.Add(time.Hour)},
	}}
	ended.setEffect()
	out.Reset()
	require.NoError(t, ended.print(&out))
	require.Equal(t, 2, strings.Count(out.String(), "open until 12:34:56"), "no longer than until the answer, as in the outcome and the record: %s", out.String())

	read := invocationReport{Attempts: activities.Trail{{Number: 1, Class: classify.Transient}}}
	read.setEffect()
	require.Empty(t, read.Effect, "a read has none")
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
		"takes the UUID of an export":       {"exports", "resolve"},
		"EXPORT \"x\": want a UUID":         {"exports", "resolve", "x", "--voucher", "v", "--there", "--reason", "x"},
		"or --period and --integration":     {"exports", "prove"},
		"not both":                          {"exports", "prove", id, "--period", "2026-10", "--integration", "x"},
		"--adopt needs both":                {"exports", "prove", "--adopt"},
		"belong together":                   {"exports", "prove", "--period", "2026-10"},
		"--period: ":                        {"exports", "prove", "--period", "soon", "--integration", "x"},
		"--idempotent: a ping":              {"call", "--integration", "x", "--operation", "ping", "--idempotent"},
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
	require.NoError(t, (&app{output: outputTable}).printResolution(&out, r))
	require.Equal(t, "voucher v1: 2 entries to be sent again by starter exports retry "+r.ExportID.String()+"\n", out.String())
	out.Reset()
	r.AtVendor = true
	require.NoError(t, (&app{output: outputJSON}).printResolution(&out, r))
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
