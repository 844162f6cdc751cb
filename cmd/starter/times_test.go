package main

import (
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/when"
)

// printsUTC is a time as no one is to be shown it; programsTimes are those that a program
// reads or that are typed again, by a part of their line.
var (
	printsUTC     = regexp.MustCompile(`\.UTC\(\)(\.Truncate\([^)]*\))?\.Format\(|Format\(time\.TimeOnly\)`)
	programsTimes = []string{"before := oldest", "return oldest.Add", "StartTime <", "ExpiresAt.UTC().Format(time.DateOnly)"}
)

// People are shown local time with its zone, in the same form everywhere.
func TestNobodyIsShownUTC(t *testing.T) {
	n := 0
	for _, dir := range []string{".", "../../activities", "../../calls", "../../engine", "../../exports", "../../outlook", "../../runlog", "../../statement"} {
		files, err := filepath.Glob(dir + "/*.go")
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for i, line := range strings.Split(string(text), "\n") {
				n++
				if !printsUTC.MatchString(line) || containsAny(line, programsTimes) {
					continue
				}
				t.Errorf("%s: people read local time with its zone, such as when.Local and integrations.Integration.Moment: %s", token.Position{Filename: file, Line: i + 1}, line)
			}
		}
	}
	require.Greater(t, n, 10000)
}

func containsAny(s string, list []string) bool {
	for _, part := range list {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

// A list that is cut says so, and the command that it names shows the rest.
func TestNotificationsAreNotCutSilently(t *testing.T) {
	d := newDatabase(t)
	env := map[string]string{"DATABASE_URL": d.url("rd"), "LEDGERLINE_ORG": "eksempel"}
	pool, err := runlog.Open(t.Context(), d.url("postgres"), 1)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	newest := time.Date(2026, 11, 27, 23, 41, 52, 0, time.UTC)
	_, err = pool.Exec(t.Context(), `INSERT INTO ledgerline.notifications (organization_id, notification_id, cause, occurred_at, queued_at)
		SELECT $1, gen_random_uuid(), 'test', $2::timestamptz, $2::timestamptz - n * interval '1 minute' FROM generate_series(0, $3::int) AS n`, uuid.MustParse(books), newest, runlog.MaxPage+2)
	require.NoError(t, err)
	list := func(args ...string) (out, words string) {
		t.Helper()
		out, words, code := try(t, env, append([]string{"notifications", "list"}, args...)...)
		require.Zero(t, code, words)
		return out, words
	}
	for _, format := range []string{"table", "json"} {
		out, words := list("-o", format)
		until := regexp.MustCompile(`there are older rows: add --until (\S+) for`).FindStringSubmatch(words)
		require.NotNil(t, until, words)
		if format == "table" {
			require.Contains(t, out, when.Local(newest))
			require.NotContains(t, out, "T23:41:52Z")
		}
		out, words = list("--until", until[1])
		require.Empty(t, words)
		require.Equal(t, 1+3+1, strings.Count(out, "\n"), "the heading, the rest, and the oldest row of those before")
	}
	_, words := list("--since", newest.Add(-time.Hour).Format(time.RFC3339))
	require.Empty(t, words)
}
