package runlog_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

func hashOf(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// broken reports the constraint that an error is about.
func broken(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.ConstraintName
	}
	return ""
}

// A session is there for whoever has its token until it ends or expires, by PostgreSQL's
// clock and whatever the console's says.
func TestConsoleSessions(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	wrong := time.Now().Add(-1000 * time.Hour) // the console's clock
	s := runlog.ConsoleSession{Subject: "8d1c\x00", Name: "Kari Nordmann", Email: "kari@example.no", Groups: []string{"finance", "b"}, StartedAt: wrong, ExpiresAt: wrong.Add(time.Hour)}
	require.NoError(t, runlog.BeginConsoleSession(t.Context(), b.console, hashOf("one"), s))
	got, err := runlog.LoadConsoleSession(t.Context(), b.console, hashOf("one"))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), got.StartedAt, time.Minute)
	require.Equal(t, time.Hour, got.ExpiresAt.Sub(got.StartedAt))
	s.Subject, s.StartedAt, s.ExpiresAt = "8d1c", got.StartedAt, got.ExpiresAt
	require.Equal(t, s, *got)

	err = runlog.BeginConsoleSession(t.Context(), b.console, hashOf("one"), runlog.ConsoleSession{Subject: "x", StartedAt: wrong, ExpiresAt: wrong.Add(time.Hour)})
	require.Equal(t, "console_sessions_pkey", broken(err), "a token that somebody has put into a browser signs in nobody else")
	for lasts, constraint := range map[time.Duration]string{0: "session_is_short", -time.Hour: "session_is_short", 13 * time.Hour: "session_is_short"} {
		err := runlog.BeginConsoleSession(t.Context(), b.console, hashOf("two"), runlog.ConsoleSession{Subject: "x", StartedAt: wrong, ExpiresAt: wrong.Add(lasts)})
		require.Equal(t, constraint, broken(err), lasts)
	}
	require.Equal(t, "token_is_hashed", broken(runlog.BeginConsoleSession(t.Context(), b.console, []byte("token"), s)), "the token itself is not stored")
	s.Subject = ""
	require.Equal(t, "session_is_of_somebody", broken(runlog.BeginConsoleSession(t.Context(), b.console, hashOf("two"), s)))

	none, err := runlog.LoadConsoleSession(t.Context(), b.console, hashOf("two"))
	require.NoError(t, err)
	require.Nil(t, none)

	// It has expired, also while nobody has removed it.
	s.Subject = "gone"
	require.NoError(t, runlog.BeginConsoleSession(t.Context(), b.console, hashOf("expired"), s))
	_, err = b.admin.Exec(t.Context(), `UPDATE ledgerline.console_sessions SET started_at = started_at - interval '1 hour', expires_at = expires_at - interval '1 hour' WHERE subject = 'gone'`)
	require.NoError(t, err)
	none, err = runlog.LoadConsoleSession(t.Context(), b.console, hashOf("expired"))
	require.NoError(t, err)
	require.Nil(t, none)
	s.Subject = "new"
	require.NoError(t, runlog.BeginConsoleSession(t.Context(), b.console, hashOf("new"), s))
	require.Equal(t, 2, count(t, b, "console_sessions"), "what has expired is removed")

	require.NoError(t, runlog.EndConsoleSession(t.Context(), b.console, hashOf("one")))
	require.NoError(t, runlog.EndConsoleSession(t.Context(), b.console, hashOf("one")), "it has ended")
	none, err = runlog.LoadConsoleSession(t.Context(), b.console, hashOf("one"))
	require.NoError(t, err)
	require.Nil(t, none)
}

// An action is recorded before it is done and once afterwards. The same key of the same
// person is one action, whoever comes first.
func TestConsoleActions(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	org, other := uuid.New(), uuid.New()
	a := runlog.ConsoleAction{
		ID: uuid.New(), Subject: "8d1c", Actor: "kari@example.no", Action: "retry", Target: "2026-10 --integration x", Key: "k1", Request: hashOf("a"), Before: json.RawMessage(`{"refused":8}`),
	}
	earlier, err := runlog.BeginConsoleAction(t.Context(), b.console, org, a)
	require.NoError(t, err)
	require.Nil(t, earlier)

	again := a
	again.ID, again.Request = uuid.New(), hashOf("b")
	earlier, err = runlog.BeginConsoleAction(t.Context(), b.console, org, again)
	require.NoError(t, err)
	require.Equal(t, a.ID, earlier.ID)
	require.Equal(t, hashOf("a"), earlier.Request, "whether it is the same request is for the caller to see")
	require.Nil(t, earlier.EndedAt)
	require.Zero(t, earlier.Status)
	for name, change := range map[string]func(*runlog.ConsoleAction) uuid.UUID{
		"another person":       func(a *runlog.ConsoleAction) uuid.UUID { a.Subject = "other"; return org },
		"another organization": func(*runlog.ConsoleAction) uuid.UUID { return other },
		"no key":               func(a *runlog.ConsoleAction) uuid.UUID { a.Key = ""; return org },
		"no key again":         func(a *runlog.ConsoleAction) uuid.UUID { a.Key = ""; return org },
	} {
		fresh := a
		fresh.ID = uuid.New()
		earlier, err := runlog.BeginConsoleAction(t.Context(), b.console, change(&fresh), fresh)
		require.NoError(t, err, name)
		require.Nil(t, earlier, name)
	}

	answer := json.RawMessage(`{"amount": 1.10, "text": "\u0000 \ud800", "b": 1,"a":2}`) // jsonb would refuse or change it
	require.NoError(t, runlog.EndConsoleAction(t.Context(), b.console, org, a.ID, 202, nil, json.RawMessage(`{"refused":0}`), answer))
	earlier, err = runlog.BeginConsoleAction(t.Context(), b.console, org, again)
	require.NoError(t, err)
	require.NotNil(t, earlier.EndedAt)
	require.Equal(t, 202, earlier.Status)
	require.Equal(t, string(answer), string(earlier.Response), "byte for byte")
	require.Equal(t, string(a.Before), string(earlier.Before))
	require.Equal(t, `{"refused":0}`, string(earlier.After))

	require.ErrorContains(t, runlog.EndConsoleAction(t.Context(), b.console, org, a.ID, 500, nil, nil, nil), "no action "+a.ID.String())
	require.ErrorContains(t, runlog.EndConsoleAction(t.Context(), b.console, other, a.ID, 500, nil, nil, nil), "no action "+a.ID.String())
	require.Equal(t, "key_has_its_request", broken(errorOf(runlog.BeginConsoleAction(t.Context(), b.console, org, runlog.ConsoleAction{ID: uuid.New(), Subject: "s", Actor: "a", Action: "retry", Key: "k"}))))

	// Of many at the same time one is recorded, and the others get that one.
	var first, same int
	var mu sync.Mutex
	var race sync.WaitGroup
	for range 8 {
		race.Go(func() {
			mine := a
			mine.ID, mine.Key = uuid.New(), "at once"
			earlier, err := runlog.BeginConsoleAction(context.Background(), b.console, org, mine)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case earlier == nil:
				first++
			default:
				same++
			}
		})
	}
	race.Wait()
	require.Equal(t, []int{1, 7}, []int{first, same})

	// The list is complete, newest first, however small its pages.
	var seen []uuid.UUID
	var cursor *runlog.ActionCursor
	for {
		list, next, err := runlog.ListConsoleActions(t.Context(), b.reader, org, cursor, 2)
		require.NoError(t, err)
		for _, a := range list {
			require.NotContains(t, seen, a.ID)
			seen = append(seen, a.ID)
		}
		if cursor = next; next == nil {
			break
		}
	}
	require.Len(t, seen, 5)
	require.Equal(t, a.ID, seen[4])
}

func errorOf(_ *runlog.ConsoleAction, err error) error { return err }

// The last acknowledgement of a key is shown, and those before it stay on record.
func TestAcknowledgements(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	org := uuid.New()
	for _, a := range []runlog.Acknowledgement{{Key: "incident/1", Note: "called them"}, {Key: "late/2", Note: ""}, {Key: "incident/1", Note: "they fix it\x00 " + strings.Repeat("å", 600)}} {
		a.Actor = "kari"
		require.NoError(t, runlog.Acknowledge(t.Context(), b.console, org, a))
	}
	require.ErrorContains(t, runlog.Acknowledge(t.Context(), b.console, org, runlog.Acknowledgement{Key: strings.Repeat("x", 501), Actor: "a"}), "501 characters")
	require.Error(t, runlog.Acknowledge(t.Context(), b.console, org, runlog.Acknowledgement{Actor: "a"}))
	seen, err := runlog.ListAcknowledgements(t.Context(), b.reader, org)
	require.NoError(t, err)
	require.Len(t, seen, 2)
	require.True(t, strings.HasPrefix(seen["incident/1"].Note, "they fix it å"))
	require.WithinDuration(t, time.Now(), seen["late/2"].At, time.Minute)
	require.Equal(t, 3, count(t, b, "console_acknowledgements"))
}

// A file is there for an hour and for its organization only.
func TestUploads(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	org := uuid.New()
	u := runlog.Upload{ID: uuid.New(), Name: "oktober.xlsx", Content: []byte("PK\x03\x04\x00\xff"), Actor: "kari"}
	require.NoError(t, runlog.StoreUpload(t.Context(), b.console, org, u))
	got, err := runlog.LoadUpload(t.Context(), b.console, org, u.ID)
	require.NoError(t, err)
	require.Equal(t, time.Hour, got.ExpiresAt.Sub(got.StoredAt).Round(time.Second))
	u.StoredAt, u.ExpiresAt = got.StoredAt, got.ExpiresAt
	require.Equal(t, u, *got)
	none, err := runlog.LoadUpload(t.Context(), b.console, uuid.New(), u.ID)
	require.NoError(t, err)
	require.Nil(t, none)
	require.NoError(t, runlog.DeleteUpload(t.Context(), b.console, uuid.New(), u.ID))
	require.Equal(t, 1, count(t, b, "console_uploads"), "another organization deletes nothing")

	for _, content := range [][]byte{nil, make([]byte, runlog.MaxUpload+1)} {
		require.ErrorContains(t, runlog.StoreUpload(t.Context(), b.console, org, runlog.Upload{ID: uuid.New(), Name: "x", Content: content, Actor: "a"}), "want 1 to 33554432 (32 MB)")
	}
	large := runlog.Upload{ID: uuid.New(), Name: "large.csv", Content: bytes.Repeat([]byte{7}, runlog.MaxUpload), Actor: "a"}
	require.NoError(t, runlog.StoreUpload(t.Context(), b.console, org, large))

	_, err = b.admin.Exec(t.Context(), `UPDATE ledgerline.console_uploads SET stored_at = stored_at - interval '61 minutes', expires_at = expires_at - interval '61 minutes'`)
	require.NoError(t, err)
	none, err = runlog.LoadUpload(t.Context(), b.console, org, u.ID)
	require.NoError(t, err)
	require.Nil(t, none, "it has expired")
	mine := runlog.Upload{ID: uuid.New(), Name: "x", Content: []byte("x"), Actor: "a"}
	require.NoError(t, runlog.StoreUpload(t.Context(), b.console, uuid.New(), mine))
	require.Equal(t, 1, count(t, b, "console_uploads"), "whoever stores a file removes what others have left")
}

// The console's role may read what the reader's may, so that a right that is given to the one
// is given to the other.
func TestConsoleReadsWhatReadersDo(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("catalogue.txt")
	require.NoError(t, err)
	rights := 0
	for line := range strings.Lines(string(text)) {
		if right, of := strings.CutSuffix(strings.TrimSpace(line), " TO ledgerline_reader"); of {
			require.Contains(t, string(text), right+" TO ledgerline_console\n")
			rights++
		}
	}
	require.Greater(t, rights, 40)
}

// What somebody cannot do who has the console's login and writes SQL of their own.
func TestConsoleLogin(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.lines("e1 v 2026-10-01 1920 5", "e2 v 2026-10-01 3000 -5")
	e := b.claim("2026-10", nil)
	require.NoError(t, runlog.BeginConsoleSession(t.Context(), b.console, hashOf("t"), runlog.ConsoleSession{Subject: "s", ExpiresAt: time.Time{}.Add(time.Hour)}))
	a := runlog.ConsoleAction{ID: uuid.New(), Subject: "s", Actor: "a", Action: "retry", Key: "k", Request: hashOf("x")}
	_, err := runlog.BeginConsoleAction(t.Context(), b.console, b.org, a)
	require.NoError(t, err)
	require.NoError(t, runlog.EndConsoleAction(t.Context(), b.console, b.org, a.ID, 200, nil, nil, nil))
	require.NoError(t, runlog.Acknowledge(t.Context(), b.console, b.org, runlog.Acknowledgement{Key: "k", Actor: "a"}))
	const org = "'{org}'::uuid"
	for sql, want := range map[string]string{
		// who is signed in
		"SELECT * FROM ledgerline.console_sessions":                                                              "42501",
		"SELECT count(*) FROM ledgerline.console_sessions":                                                       "42501",
		"INSERT INTO ledgerline.console_sessions VALUES ('x', 's', '', '', '{}', now(), now() + interval '1 h')": "42501",
		"UPDATE ledgerline.console_sessions SET expires_at = now()":                                              "42501",
		"DELETE FROM ledgerline.console_sessions":                                                                "42501",
		// what is on record of actions
		"UPDATE ledgerline.console_actions SET actor = 'somebody else'": "42501",
		"UPDATE ledgerline.console_actions SET at = now()":              "42501",
		"UPDATE ledgerline.console_actions SET ended_at = NULL":         "42501",
		"UPDATE ledgerline.console_actions SET status = 500":            "23514",
		"UPDATE ledgerline.console_actions SET status = NULL":           "23514",
		"UPDATE ledgerline.console_actions SET response = '{}'":         "23514",
		"DELETE FROM ledgerline.console_actions":                        "42501",
		"TRUNCATE ledgerline.console_actions":                           "42501",
		"INSERT INTO ledgerline.console_actions (organization_id, action_id, at, subject, actor, action, target) VALUES (" + org + ", gen_random_uuid(), '2020-01-01', 's', 'a', 'retry', '')": "42501",
		"INSERT INTO ledgerline.console_actions (organization_id, action_id, subject, actor, action, target) VALUES (gen_random_uuid(), gen_random_uuid(), 's', 'a', 'retry', '')":             "42501",
		"UPDATE ledgerline.console_acknowledgements SET note = ''":      "42501",
		"DELETE FROM ledgerline.console_acknowledgements":               "42501",
		"SELECT ledgerline.drop_console_records(1)":                     "42501",
		"UPDATE ledgerline.console_uploads SET expires_at = 'infinity'": "42501",
		"INSERT INTO ledgerline.console_uploads (organization_id, upload_id, name, content, actor, expires_at) VALUES (" + org + ", gen_random_uuid(), 'x', 'x', 'a', 'infinity')": "42501",
		// integrations and their exports
		"UPDATE ledgerline.integrations SET base_url = 'https://evil.example'":               "42501",
		"UPDATE ledgerline.integrations SET credential_refs = '{}'":                          "42501",
		"UPDATE ledgerline.integrations SET removed_at = now()":                              "42501",
		"INSERT INTO ledgerline.integrations DEFAULT VALUES":                                 "42501",
		"DELETE FROM ledgerline.integrations":                                                "42501",
		"UPDATE ledgerline.integration_pauses SET actor = 'x'":                               "42501",
		"INSERT INTO ledgerline.notification_channels DEFAULT VALUES":                        "42501",
		"UPDATE ledgerline.organizations SET name = 'x'":                                     "42501",
		"UPDATE ledgerline.bufdir_export_audit_log SET status = 'complete'":                  "42501",
		"INSERT INTO ledgerline.bufdir_export_audit_log DEFAULT VALUES":                      "42501",
		"UPDATE ledgerline.export_entries SET state = 'exported', effect = 'done'":           "42501",
		"DELETE FROM ledgerline.export_entries":                                              "42501",
		"UPDATE ledgerline.write_claims SET effect = 'none'":                                 "42501",
		"INSERT INTO ledgerline.integration_run_logs DEFAULT VALUES":                         "42501",
		"INSERT INTO ledgerline.export_resolutions DEFAULT VALUES":                           "42501",
		"INSERT INTO ledgerline.entry_changes DEFAULT VALUES":                                "42501",
		"UPDATE ledgerline.export_sums SET vouchers = 0":                                     "42501",
		"INSERT INTO ledgerline.export_sums VALUES (" + org + ", '{export}', 0, 0, 0, '{}')": "42501",
		"UPDATE ledgerline.accounting_entries SET entry_id = 'other'":                        "42501",
		"UPDATE ledgerline.accounting_entries SET amount = 6":                                "23514", // nobody says who
		"SELECT ledgerline.adopt_entries('{export}', gen_random_uuid(), '', '[]')":           "42501",
		"SELECT ledgerline.retire_payload_key('k', now())":                                   "42501",
		"SELECT * FROM ledgerline.list_payload_keys()":                                       "42501",
		"SELECT ledgerline.make_partitions(2, 4)":                                            "42501",
		"SELECT ledgerline.drop_partitions(1)":                                               "42501",
		"SELECT ledgerline.pauses()":                                                         "42501",
		"SELECT ledgerline.worker_needs()":                                                   "42501",
		"SELECT lacks FROM ledgerline.workers":                                               "42501",
		"CREATE TABLE ledgerline.mine (x integer)":                                           "42501",
	} {
		statement := strings.NewReplacer("{org}", b.org.String(), "{export}", e.ID.String()).Replace(sql)
		as(t, b.console, b.org, func(tx pgx.Tx) {
			tag, err := tx.Exec(t.Context(), statement)
			var pg *pgconn.PgError
			require.ErrorAs(t, err, &pg, "%s: %s", statement, tag)
			require.Equal(t, want, pg.Code, "%s: %v", statement, err)
		})
	}
}

// What finance staff do works with the console's login.
func TestConsoleDoesWhatFinanceDoes(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	done, err := b.importingAs(b.console, pair("v", "10.00", "1920", october), runlog.ImportOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 2, done.Added)
	done, err = b.importingAs(b.console, pair("v", "12.00", "1920", october), runlog.ImportOptions{Replace: true})
	require.NoError(t, err)
	require.EqualValues(t, 2, done.Replaced)
	_, err = runlog.WithdrawVoucher(t.Context(), b.console, b.org, "v", "kari", "twice")
	require.NoError(t, err)
	_, err = b.importingAs(b.console, pair("v", "12.00", "1920", october), runlog.ImportOptions{})
	require.NoError(t, err)
	e := b.claim("2026-10", nil)
	b.plan(e, mapped, 500)
	b.become(e, exports.Sent, "v")
	b.close(e)
	n, err := runlog.ResolveVoucher(t.Context(), b.console, b.org, runlog.Resolution{ExportID: e.ID, VoucherID: "v", AtVendor: true, Reason: "seen", Actor: "kari"})
	require.NoError(t, err)
	require.Equal(t, 2, n)

	p, changed, err := runlog.PauseIntegration(t.Context(), b.console, b.org, b.spec.ID, "kari", "they upgrade")
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, "kari", p.By)
	was, err := runlog.ResumeIntegration(t.Context(), b.console, b.org, b.spec.ID, "kari", "")
	require.NoError(t, err)
	require.NotNil(t, was)
	require.Equal(t, 2, count(t, b.base, "integration_pauses"))
	problems, err := runlog.Diagnose(t.Context(), b.console, runlog.ConsoleRole)
	require.NoError(t, err)
	require.Empty(t, problems)
	_, err = runlog.FindOrganization(t.Context(), b.console, b.org.String())
	require.NoError(t, err)
}

// Retention removes old records of the console, and nothing newer.
func TestConsoleRecordsAreDropped(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	org, retention := uuid.New(), open(t, b.name, "t")
	for range 2 {
		_, err := runlog.BeginConsoleAction(t.Context(), b.console, org, runlog.ConsoleAction{ID: uuid.New(), Subject: "s", Actor: "a", Action: "retry"})
		require.NoError(t, err)
		require.NoError(t, runlog.Acknowledge(t.Context(), b.console, org, runlog.Acknowledgement{Key: "k", Actor: "a"}))
	}
	for _, table := range []string{"console_actions", "console_acknowledgements"} {
		_, err := b.admin.Exec(t.Context(), `ALTER TABLE ledgerline.`+table+` DISABLE TRIGGER USER; UPDATE ledgerline.`+table+` SET at = now() - interval '19 months' WHERE ctid = (SELECT min(ctid) FROM ledgerline.`+table+`)`)
		require.NoError(t, err)
	}
	var n int
	require.NoError(t, retention.QueryRow(t.Context(), "SELECT ledgerline.drop_console_records(20)").Scan(&n))
	require.Zero(t, n)
	require.NoError(t, retention.QueryRow(t.Context(), "SELECT ledgerline.drop_console_records(17)").Scan(&n))
	require.Equal(t, 2, n)
	require.Equal(t, 1, count(t, b, "console_actions"))
	require.Equal(t, 1, count(t, b, "console_acknowledgements"))
	require.ErrorContains(t, retention.QueryRow(t.Context(), "SELECT ledgerline.drop_console_records(0)").Scan(&n), "at least one month")
}
