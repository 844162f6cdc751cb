package main

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/codec"
	"github.com/ledgerline/ledgerline/runlog"
)

// aWorker is one that was seen some time ago.
func aWorker(host string, ago time.Duration, change ...func(*runlog.Worker)) runlog.Worker {
	now := time.Now()
	w := runlog.Worker{
		WorkerID: uuid.New(), Identity: "1@" + host, Host: host, Version: "v1.4.0", StartedAt: now.Add(-time.Hour), SeenAt: now.Add(-ago), Ago: ago,
		ExaminedAt: &now, Needs: 4,
	}
	for _, c := range change {
		c(&w)
	}
	return w
}

func stopped(w *runlog.Worker) { w.StoppedAt = &w.SeenAt }

func waits(w *runlog.Worker) {
	w.Needs++
	w.Lacking, w.Lacks = 1, []runlog.Lack{{Owner: "worker", What: runlog.NeedPayloadKeys, Why: "it lacks k1"}}
}

// Workers that wait for keys of payloads are named with the reason, and lack nothing that
// a file names.
func TestWaiting(t *testing.T) {
	list := []runlog.Worker{aWorker("a", 0), aWorker("b", 0, waits), aWorker("c", 0, waits)}
	require.Equal(t, []check{{checkWorkers, checkWarn, "no task is taken on b, c: it lacks k1", payloadSection}}, waiting(list))
	require.Empty(t, waiting(list[:1]))
	require.Equal(t, []check{{checkSecrets, checkOK, "workers can use all 4 secrets, mail servers and sources that files name", ""}}, lacking(list, nil))
}

// Who works is judged by what workers say and by what Temporal says; either may be
// silent.
func TestWhoWorks(t *testing.T) {
	all := []runlog.Worker{aWorker("a", time.Second), aWorker("b", 2*time.Second)}
	for name, c := range map[string]struct {
		list          []runlog.Worker
		pollers       []string
		asked, listed bool
		state         checkState
		found         string
	}{
		"all of them":              {all, []string{"1@a", "1@b"}, true, true, checkOK, "2 workers: a since"},
		"Temporal is away":         {all, nil, false, true, checkOK, "2 workers: a since"},
		"the database is away":     {nil, []string{"1@a"}, true, false, checkAssumed, "1 poller in the last five minutes"},
		"nobody, and no database":  {nil, nil, true, false, checkFailed, "none runs: nobody has asked Temporal"},
		"nobody ever":              {nil, nil, true, true, checkFailed, "none runs: none has in the last week"},
		"stopped":                  {[]runlog.Worker{aWorker("a", time.Minute, stopped)}, []string{"1@a"}, true, true, checkFailed, "on a, is stopped, and was seen 1m0s ago"},
		"killed, and listed":       {[]runlog.Worker{aWorker("a", time.Minute)}, []string{"1@a"}, true, true, checkFailed, "on a, is lost"},
		"stopping":                 {[]runlog.Worker{aWorker("a", time.Second, func(w *runlog.Worker) { w.StoppingAt = &w.SeenAt })}, nil, true, true, checkFailed, "is stopping"},
		"one asks elsewhere":       {all, []string{"1@a"}, true, true, checkWarn, "1 worker without a poll here: b"},
		"all ask elsewhere":        {all, nil, true, true, checkFailed, "2 workers without a poll here: a"},
		"an older build beside":    {all, []string{"1@a", "1@b", "7@c"}, true, true, checkWarn, "2 running; Temporal lists 1 poller unknown to this database: 7@c"},
		"one waits for its keys":   {[]runlog.Worker{all[0], aWorker("b", 0, waits)}, []string{"1@a"}, true, true, checkOK, "1 worker: a since"},
		"all wait for their keys":  {[]runlog.Worker{aWorker("a", 0, waits), aWorker("b", 0, waits)}, nil, true, true, checkFailed, "none takes tasks: 2 workers waiting for keys"},
		"one waited for its keys":  {[]runlog.Worker{aWorker("a", time.Minute, waits)}, nil, true, true, checkFailed, "on a, is lost"},
		"older builds and no more": {nil, []string{"7@c", "7@d"}, true, true, checkWarn, "0 running; Temporal lists 2 pollers unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			got := working(c.list, c.pollers, c.asked, c.listed)
			require.Equal(t, c.state, got.State, "%v", got)
			require.Contains(t, got.Found, c.found)
			require.Equal(t, c.state == checkOK, got.Remedy == "")
		})
	}
}

func TestClocks(t *testing.T) {
	for _, c := range []struct {
		database, temporal time.Duration
		want               checkState
	}{
		{0, 0, checkOK}, {time.Second, -time.Second / 2, checkOK}, {2 * time.Second, -time.Second, checkWarn}, {-3 * time.Second, -3 * time.Second, checkWarn},
		{20 * time.Second, -11 * time.Second, checkFailed}, {-time.Hour, 0, checkFailed},
	} {
		got := clocks(temporalSide{offset: &c.temporal}, databaseSide{offset: &c.database})
		require.Len(t, got, 1)
		require.Equal(t, c.want, got[0].State, "%v", c)
		require.Equal(t, c.want != checkOK, got[0].Remedy != "")
	}
	behind := func(w *runlog.Worker) { w.ClockOffset = -40 * time.Second }
	require.Equal(t, checkOK, workerClocks([]runlog.Worker{aWorker("a", 0)}).State)
	got := workerClocks([]runlog.Worker{aWorker("a", 0), aWorker("b", 0, behind)})
	require.Equal(t, []string{"FAIL", "b is 40.00 s behind PostgreSQL"}, []string{string(got.State), got.Found})
	none := clocks(temporalSide{offsetErr: errors.New("no")}, databaseSide{})
	require.Len(t, none, 1)
	require.Equal(t, checkAssumed, none[0].State)
	require.Empty(t, clocks(temporalSide{}, databaseSide{}))
}

// Builds that differ are named with where they run.
func TestBuilds(t *testing.T) {
	commit := "0123456789abcdef"
	require.Equal(t, checkOK, builds([]runlog.Worker{aWorker("a", 0)}, "v1.4.0", "").State)
	got := builds([]runlog.Worker{aWorker("a", 0), aWorker("b", 0, func(w *runlog.Worker) { w.Version, w.Revision = "(devel)", commit }), aWorker("a", 0)}, "v1.4.0", "")
	require.Equal(t, check{checkWorkerBuilds, checkWarn, "(devel) 0123456789ab: b; v1.4.0: a, starter", got.Remedy}, got)
	require.NotEmpty(t, got.Remedy)
	require.Equal(t, "v0.0.0-2026-0123456789ab", name("v0.0.0-2026-0123456789ab", commit))
}

// What workers lack is a line each, and on which of them where others have it.
func TestLacking(t *testing.T) {
	lack := func(n int) func(*runlog.Worker) {
		return func(w *runlog.Worker) {
			for i := range n {
				w.Lacks = append(w.Lacks, runlog.Lack{Owner: fmt.Sprint("crm", i), What: "clientSecret", Why: "there is no file"})
			}
			w.Lacking = n
		}
	}
	require.Equal(t, checkOK, lacking([]runlog.Worker{aWorker("a", 0)}, nil)[0].State)
	got := lacking([]runlog.Worker{aWorker("a", 0), aWorker("b", 0, lack(1))}, nil)
	require.Len(t, got, 1)
	require.Contains(t, got[0].Found, "crm0: clientSecret on b: there is no file")
	got = lacking([]runlog.Worker{aWorker("a", 0, lack(1)), aWorker("b", 0, lack(1))}, nil)
	require.Len(t, got, 1)
	require.Contains(t, got[0].Found, "clientSecret: there is no file")
	got = lacking([]runlog.Worker{aWorker("a", 0, lack(30), func(w *runlog.Worker) { w.Lacking = 500 })}, nil)
	require.Len(t, got, maxLines+1)
	require.Equal(t, "and 11 more", got[maxLines].Found)
	got = lacking([]runlog.Worker{aWorker("a", 0, func(w *runlog.Worker) { w.ExaminedAt = nil })}, nil)
	require.Equal(t, []checkState{checkAssumed}, []checkState{got[0].State})
}

// A key in use that this program lacks is a failure, and so is one that workers lack; one
// that is being renewed is not.
func TestPayloadCheck(t *testing.T) {
	keys := func(current string, ids ...string) *codec.Keys {
		byID := make(map[string][]byte)
		for _, id := range ids {
			byID[id] = bytes.Repeat([]byte(id), codec.KeySize/len(id))
		}
		k, err := codec.New(current, byID)
		require.NoError(t, err)
		return k
	}
	used := func(ago time.Duration, ids ...string) (list []runlog.PayloadKey) {
		for _, name := range keys("", ids...).Names() {
			list = append(list, runlog.PayloadKey{Name: name, LastUse: time.Now().Add(-ago)})
		}
		return list
	}
	two := []runlog.PayloadReader{{Label: "a, process 7", SeenAt: time.Now()}, {Label: "b, process 1", SeenAt: time.Now()}}
	for name, c := range map[string]struct {
		keys  *codec.Keys
		used  []runlog.PayloadKey
		lack  []runlog.PayloadReader
		state checkState
		found string
	}{
		"none":                        {keys(""), nil, nil, checkOK, "nothing is encrypted"},
		"decrypts only, before":       {keys("", "k1"), nil, nil, checkOK, "nothing is encrypted"},
		"not used yet":                {keys("k1", "k1"), nil, nil, checkOK, "key k1 ("},
		"in use":                      {keys("k1", "k1"), used(0, "k1"), nil, checkOK, "encrypted with key k1 ("},
		"renewed":                     {keys("k2", "k1", "k2"), append(used(time.Hour, "k1"), used(0, "k2")...), nil, checkOK, "encrypted with key k2 ("},
		"others have not renewed":     {keys("k2", "k1", "k2"), append(used(0, "k1"), used(time.Minute, "k2")...), nil, checkWarn, "others with key k1 ("},
		"workers lack it":             {keys("k1", "k1"), nil, two[:1], checkFailed, "is not sent: 1 worker without it: a process 7"},
		"workers lack the next one":   {keys("k2", "k1", "k2"), used(0, "k1"), two, checkFailed, "2 workers without it: a process 7, b process 1"},
		"this one lacks more":         {keys("k2", "k2"), used(0, "k1"), two, checkFailed, "encrypted with key k1 ("},
		"renewed, and not used yet":   {keys("k2", "k1", "k2"), used(0, "k1"), nil, checkOK, "key k2 ("},
		"lacks one":                   {keys("k2", "k2"), used(time.Hour, "k1", "k2"), nil, checkFailed, "encrypted with key k1 ("},
		"has none":                    {keys(""), used(time.Hour, "k1"), nil, checkFailed, "encrypted with key k1 ("},
		"does not encrypt any longer": {keys("", "k1"), used(time.Hour, "k1"), nil, checkWarn, "is not encrypted; in use: key k1 ("},
	} {
		t.Run(name, func(t *testing.T) {
			got := payloadCheck(c.keys, c.used, c.lack)
			require.Equal(t, c.state, got.State, "%v", got)
			require.Contains(t, got.Found, c.found)
			require.Equal(t, c.state == checkOK, got.Remedy == "")
		})
	}
}
