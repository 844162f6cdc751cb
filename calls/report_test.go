package calls

import (
	"encoding/json"
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

func text(lines [][]string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(strings.Join(l, " ") + "\n")
	}
	return b.String()
}

func inUTC(t *testing.T) {
	before := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = before })
}

func TestReport(t *testing.T) {
	inUTC(t)
	r := Report{CorrelationID: uuid.New(), State: "completed", Source: FromTable, Actor: "kari@example"}
	r.setTrail(activities.Trail{
		{Number: 1, EndedAt: until, Class: classify.Transient, Kind: classify.Unavailable, Message: "away", Delay: 1500 * time.Millisecond, Effect: classify.Open, Ended: true, OpenUntil: until},
		{Number: 2, EndedAt: until, Class: classify.Timeout, Kind: classify.RequestTimeout, Effect: classify.Open, OpenUntil: until.Add(time.Minute)},
	})
	require.Contains(t, text(r.Lines(until)), "effect open until 2026-11-23 12:35:56 UTC\n")
	require.Contains(t, text(r.Lines(until)), "asked by kari@example\n")
	require.Regexp(t, `1 .*transient unavailable .*open until 2026-11-23 12:34:56 UTC 1.5s away`, text(r.Table()))

	ended := Report{}
	ended.setTrail(activities.Trail{
		{Number: 1, EndedAt: until, Class: classify.Permanent, Kind: classify.Business, Effect: classify.Open, Ended: true, OpenUntil: until.Add(time.Hour)},
	})
	require.Equal(t, 2, strings.Count(text(ended.Lines(until))+text(ended.Table()), "open until 2026-11-23 12:34:56"), "no longer than until the answer, as in the outcome and the record")

	read := Report{}
	read.setTrail(activities.Trail{{Number: 1, Class: classify.Transient}})
	require.Empty(t, read.Effect, "a read has none")
}

// What logs and show print has the words of a call's outcome, durations in words, and UTC.
func TestOneVocabulary(t *testing.T) {
	oslo := time.FixedZone("CET", 3600)
	members := func(v any) map[string]any {
		encoded, err := json.Marshal(v)
		require.NoError(t, err)
		var got map[string]any
		require.NoError(t, json.Unmarshal(encoded, &got))
		return got
	}
	want := map[string]any{
		"attempt": 2., "ok": false, "occurredAt": "2026-11-23T12:34:56Z", "errorClass": "transient", "kind": "unavailable", "rule": "status:503", "httpStatus": 503.,
		"message": "away", "isRetryable": true, "delay": "1.5s", "effect": "open", "openUntil": "2026-11-23T12:34:56Z",
	}
	live := members(attemptOf(activities.Attempt{Number: 2, EndedAt: until.In(oslo), Class: classify.Transient, Kind: classify.Unavailable, Rule: "status:503", HTTPStatus: 503,
		Message: "away", Retryable: true, Delay: 1500 * time.Millisecond, Effect: classify.Open, OpenUntil: until.In(oslo)}))
	require.Equal(t, want, live)
	at := until.In(oslo)
	row := runlog.AttemptRow{AttemptNumber: 2, OccurredAt: at, ErrorClass: classify.Transient, ErrorKind: classify.Unavailable, Rule: "status:503", HTTPStatus: 503,
		ErrorMessage: "away", IsRetryable: true, PlannedDelay: 1500 * time.Millisecond, Effect: classify.Open, OpenUntil: &at}
	recorded := members(rowOf(row, nil))
	for name, value := range want {
		require.Equal(t, value, recorded[name], name)
	}
	require.True(t, rowOf(runlog.AttemptRow{TotalAttempts: 2}, nil).OK)
}

func TestCells(t *testing.T) {
	inUTC(t)
	integration := uuid.New()
	r := rowOf(runlog.AttemptRow{RequestedIntegrationID: integration, AdapterName: "xledger", AttemptNumber: 1, OccurredAt: until, ErrorClass: classify.Permanent}, Names{integration: "books"})
	r.Export = &Origin{Period: "2026-10", Vouchers: 1, Voucher: "20201"}
	line := strings.Join(r.Cells(), " ")
	require.Regexp(t, `^2026-11-23 12:34:56 UTC 00000000 books .* 2026-10 20201 .* permanent `, line)
	require.Len(t, r.Cells(), len(RowHeading))
	r.Export.Vouchers = 40
	require.Contains(t, strings.Join(r.Cells(), " "), "20201 and 39 more")
}

func TestParseRef(t *testing.T) {
	const id = "3f2a01c4-9b7e-4d00-8a11-0123456789ab"
	for s, want := range map[string]string{
		"3F2a": "3f2a", "3f2a01c4": "3f2a01c4", "3f2a01c49": "3f2a01c4-9", "3f2a01c4-": "3f2a01c4", "3f2a01c4-9b7e-4": "3f2a01c4-9b7e-4",
		id: id, strings.ReplaceAll(id, "-", ""): id,
	} {
		r, err := ParseRef(s)
		require.NoError(t, err, s)
		require.Equal(t, want, r.Prefix, s)
		require.LessOrEqual(t, r.Low.String(), id)
		require.LessOrEqual(t, id, r.High.String())
		_, whole := r.Whole()
		require.Equal(t, want == id, whole, s)
	}
	for _, s := range []string{"", "3f2", "3f-2", "xyzw", "3f2a 01", id + "0", "'; DROP"} {
		_, err := ParseRef(s)
		require.ErrorContains(t, err, "first 4 characters", s)
	}
}

func TestNoWorker(t *testing.T) {
	stopped := until
	running := runlog.Worker{Identity: "1@a", Host: "a", Ago: time.Second}
	lost := runlog.Worker{Host: "b", Ago: time.Hour}
	waits := running
	waits.Lacks = []runlog.Lack{{What: runlog.NeedPayloadKeys, Why: "key 2026-11 is missing"}}
	for _, c := range []struct {
		list []runlog.Worker
		want string
	}{
		{nil, "no worker is running on task queue q; "},
		{[]runlog.Worker{lost}, "the last one was seen 1h0m0s ago, on b"},
		{[]runlog.Worker{{Host: "c", StoppedAt: &stopped}}, "no worker is running"},
		{[]runlog.Worker{waits}, "key 2026-11 is missing"},
	} {
		require.Contains(t, NoWorker(c.list, "q"), c.want)
		require.Contains(t, NoWorker(c.list, "q"), "starter doctor")
	}
	require.Empty(t, NoWorker([]runlog.Worker{lost, waits, running}, "q"))
}

func TestEnded(t *testing.T) {
	id := uuid.New()
	export := exports.Export{ID: id, Period: "2026-10", Status: exports.Failed, ErrorCode: classify.Cancelled, Total: 9, Exported: 4, Unknown: 2}
	require.Equal(t, "the export of October 2026 is cancelled: 4 of 9 entries exported, 2 unknown, which may be at the vendor, 3 not sent; starter exports retry "+
		"2026-10 --integration books sends the rest, and asks the vendor first about what is unknown", ExportEnded(export, export.Reference("books")))
	require.NotContains(t, ExportEnded(exports.Export{Status: exports.Complete, Total: 2, Exported: 2}, "x"), "retry")
}
