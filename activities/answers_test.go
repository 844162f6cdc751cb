package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/redact"
)

// A write that is done stays done, whatever a secret does to its answer. Case 7 of the
// attacks is the first one.
func TestMaskingFailsNoWrite(t *testing.T) {
	for _, adapter := range vendors.Names() {
		for name, secret := range map[string]string{
			"a number": "4242", "a number of the answer's own": "424242", "a word of JSON": "true", "a name": "amount", "punctuation": `":{"`, "an escape": `\u00`,
			"brackets": "}}}}", "the whole": `{"data":{"store":{"id":4242}}}`, "the name of the answer": "data",
		} {
			t.Run(adapter+", "+name, func(t *testing.T) {
				c := newCareless(t, adapter, secret, "eyJ"+random(26))
				body := `{"data":{"store":{"id":4242,"amount":424242,"share":-4242.4242,"4242":[4242,true,"4242","\u0004\u00e6",{"a":{"b":{}}}]}}}`
				kept, result, failed := c.call(t, true, answer(200, body), c.granted())
				require.Nil(t, failed, kept)
				require.Equal(t, []any{classify.Success, classify.Done}, []any{result.Trail.Last().Class, result.Trail.Last().Effect})
				require.Len(t, result.Trail, 1)
				require.Nil(t, result.Response.Omitted)
				require.True(t, json.Valid(result.Response.Body))
				if secret == "4242" {
					require.JSONEq(t, `{"data":{"store":{"id":"[REDACTED]","amount":424242,"share":-4242.4242,"[REDACTED]":["[REDACTED]",true,"[REDACTED]","\u0004\u00e6",{"a":{"b":{}}}]}}}`,
						string(result.Response.Body))
				}
			})
		}
		t.Run(adapter+", an export", func(t *testing.T) {
			c := newCareless(t, adapter, "7777", "eyJ"+random(26))
			sent, _ := accepted(adapter, "7777")
			x := Adapters()[adapter].(adapters.Exporter)
			body, err := x.ExportBody(adapters.Form{Settings: c.spec.Settings}, lines())
			require.NoError(t, err)
			c.says(sent, c.granted())
			status, _, v := sendEntries(t.Context(), x, c.conn(t), body, lines())
			require.Equal(t, []any{200, classify.Success, classify.Done}, []any{status, v.Class, v.Effect}, v.Message)
		})
	}
}

// What is no JSON is left out, and said so.
func TestMaskedLeavesOutWhatIsNoJSON(t *testing.T) {
	acts, r := &Activities{options: Options{Log: slog.New(slog.DiscardHandler)}}, redact.New("a secret that is long enough")
	for _, body := range []string{`{"a":`, `x`, "\xff", `"a secret that is long enough`} {
		a := acts.masked(t.Context(), r, Answer{HTTPStatus: 200, Body: []byte(body)})
		require.Nil(t, a.Body)
		require.Equal(t, adapters.Omit([]byte(body), adapters.NotMasked), a.Omitted)
	}
	large := adapters.Omit([]byte("x"), adapters.TooLarge)
	require.Equal(t, Answer{HTTPStatus: 200, Omitted: large}, acts.masked(t.Context(), r, Answer{HTTPStatus: 200, Omitted: large}), "it was left out before")
}

// A write stays done if its answer comes so late, or is so dear to mask, that there is
// no time left for it; a read stays a success. Only the body is left out.
func TestDoneStaysDoneWithoutTimeToMask(t *testing.T) {
	for _, adapter := range vendors.Names() {
		c := newCareless(t, adapter, random(26), "eyJ"+random(26))
		// The time is up an hour before the deadline of the attempt.
		c.acts.maskFor = -time.Hour
		body := `{"data":{"rows":[],"store":{"id":"` + strings.Repeat("=56=56VVVVVVVV", 1000) + c.secret + `"}}}`
		for _, write := range []bool{true, false} {
			kept, result, failed := c.call(t, write, answer(200, body), c.granted())
			require.Nil(t, failed, kept)
			last := result.Trail.Last()
			require.Equal(t, classify.Success, last.Class, adapter)
			require.Nil(t, result.Response.Body)
			require.Equal(t, adapters.Omit([]byte(body), adapters.NotMasked), result.Response.Omitted)
			require.Empty(t, leaks(kept, c.secret, c.token))
			if write {
				require.Equal(t, []classify.Effect{classify.Done}, c.settled, "%s: what the claim says is what is reported", adapter)
				require.Equal(t, classify.Done, last.Effect, adapter)
			}
		}
		c.acts.maskFor = time.Hour
		_, result, _ := c.call(t, true, answer(200, body), c.granted())
		require.Nil(t, result.Response.Omitted, "with time enough it is masked")
		require.NotEmpty(t, result.Response.Body)
	}
}

// Masking ends with the attempt. An answer that comes at its end has some time more,
// and as much is left to report in.
func TestMaskingHasABound(t *testing.T) {
	for _, attempt := range []time.Duration{time.Second, 2 * time.Second, 30 * time.Second, 5 * time.Minute} {
		for ahead, more := range map[time.Duration]time.Duration{time.Hour: 0, -time.Hour: margin(attempt) / 2} {
			end := time.Now().Add(ahead)
			ctx, cancel := context.WithDeadline(t.Context(), end)
			cancel() // by whatever
			masking, stop := new(Activities).maskBy(ctx, classify.Policy{AttemptTimeout: attempt})
			defer stop()
			by, ok := masking.Deadline()
			require.True(t, ok)
			require.Equal(t, more, by.Sub(end))
			require.Equal(t, ahead < 0, masking.Err() != nil)
		}
	}
}

// A defect in masking is no failure of the write.
func TestMaskingThatPanics(t *testing.T) {
	var log bytes.Buffer
	acts, body := &Activities{options: Options{Log: slog.New(slog.NewJSONHandler(&log, nil))}}, []byte(`{"a":"some text"}`)
	got := acts.masked(defect{t.Context()}, redact.New("a secret that is long enough"), Answer{HTTPStatus: 201, Body: body})
	require.Equal(t, Answer{HTTPStatus: 201, Omitted: adapters.Omit(body, adapters.NotMasked)}, got)
	require.Contains(t, log.String(), "defect.Err")
}

type defect struct{ context.Context }

func (defect) Err() error { panic("a defect") }
