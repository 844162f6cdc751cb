package activities

import (
	"encoding/json"
	"testing"

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
	r := redact.New("a secret that is long enough")
	for _, body := range []string{`{"a":`, `x`, "\xff", `"a secret that is long enough`} {
		a := masked(r, Answer{HTTPStatus: 200, Body: []byte(body)})
		require.Nil(t, a.Body)
		require.Equal(t, adapters.Omit([]byte(body), adapters.NotMasked), a.Omitted)
	}
	large := adapters.Omit([]byte("x"), adapters.TooLarge)
	require.Equal(t, Answer{HTTPStatus: 200, Omitted: large}, masked(r, Answer{HTTPStatus: 200, Omitted: large}), "it was left out before")
}
