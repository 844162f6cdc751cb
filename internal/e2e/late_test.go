package e2e

import (
	"encoding/json"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// faulty answers something else than what the vendor has done, which it did.
var faulty = map[string]map[string]sandbox.Rule{
	"xledger-main": {
		"gave up waiting":    {Status: 200, Body: `{"errors":[{"message":"Your query timed out."}]}`},
		"errors only":        {Status: 200, Body: `{"errors":[{"message":"Internal error"}]}`},
		"data and errors":    {Rewrite: withErrors},
		"data is null":       {Status: 200, Body: `{"data":null}`},
		"400":                {Status: 400, Body: `{"errors":[{"message":"no"}]}`},
		"a gateway's 503":    {Status: 503, Body: "upstream connect error or disconnect/reset before headers"},
		"a foreign 403":      {Status: 403, Body: "<html>blocked</html>"},
		"a gateway's 502":    {Status: 502, Body: "<html>bad gateway</html>"},
		"202":                {Status: 202},
		"half of it":         {Status: 200, Body: `{"data":{"addGLImportItems":`},
		"it comes too late":  {DelayMS: 2300},
		"only its beginning": {TruncateAt: 40},
	},
	"erp": {
		"500 of the server": {Status: 500, Body: `{"error":{"code":"Internal_ServerError","message":"boom"}}`},
		"500 of any kind":   {Status: 500, Body: `{"error":{"code":"Foo","message":"boom"}}`},
		"409 of a deadlock": {Status: 409, Body: `{"error":{"code":"Request_EntityChanged","message":"Another user has already changed the record."}}`},
		"504":               {Status: 504, Body: `{"error":{"code":"Application_OperationTimeout","message":"took too long"}}`},
		"408":               {Status: 408},
		"503":               {Status: 503, Headers: map[string]string{"Retry-After": "1"}},
		"it comes too late": {DelayMS: 2300},
	},
	"crm": {
		"500 of SQL":        {Status: 500, Body: `{"error":{"code":"0x80044150","message":"Generic SQL error"}}`},
		"412":               {Status: 412, Body: `{"error":{"code":"0x80060892","message":"A record that has the attribute values already exists."}}`},
		"it comes too late": {DelayMS: 2300},
	},
}

// withErrors adds an error to an answer that has data.
func withErrors(body []byte) []byte {
	var m map[string]any
	if json.Unmarshal(body, &m) != nil {
		return body
	}
	m["errors"] = []any{map[string]any{"message": "Cannot read dbId", "path": []any{"addGLImportItems", "edges", 0, "node"}}}
	body, _ = json.Marshal(m)
	return body
}

// Whatever a vendor answers to entries that it has stored, once or each time, it
// has each of them once, and the record says that it has. If it refuses who asks,
// the run ends with its entries open, and the next one finds them.
func TestExportDoneAllTheSame(t *testing.T) {
	startWorker(t)
	for integration, answers := range faulty {
		for name, rule := range answers {
			for _, times := range []int{1, 0} {
				rule.Act, rule.Times = rule.Status != 0, times
				t.Run(integration+" "+name+map[int]string{0: " each time", 1: " once"}[times], func(t *testing.T) {
					t.Parallel()
					b := newBook(t)
					b.vouchers(t, "A", 4, "2026-10-15", "3000", "0")
					rule.Match = sandbox.Match{Method: http.MethodPost, BodyContains: b.text} // entries, and not questions
					stack.Sandbox.Script(rule)
					in := b.input(t, "2026-10")
					in.IntegrationID, in.AdapterName = b.integrations[integration].ID, b.integrations[integration].Adapter
					in.Policy.MaxRetries = 2
					e := result(t, b.start(t, in)).Export
					idle(t)
					b.requireOnce(t, 8)
					if rule.Status == http.StatusForbidden {
						require.Equal(t, []any{exports.Failed, classify.Forbidden, 0, 8}, []any{e.Status, e.ErrorCode, e.Rejected, e.Unknown}, "%+v", e)
						e = result(t, b.retryOf(t, e)).Export
						b.requireOnce(t, 8)
					}
					require.Equal(t, []any{exports.Complete, 8, 0, 0}, []any{e.Status, e.Exported, e.Rejected, e.Unknown}, "%+v", e)
				})
			}
		}
	}
}

// The vendor acts after its client has gone, and before what it was sent can take
// effect no more. What waits for that is set aside, the other chunks go on, and
// people see until when and for whom.
func TestExportLate(t *testing.T) {
	startWorker(t)
	for integration, title := range map[string]string{"xledger-main": "Xledger", "erp": "Business Central", "crm": "Dataverse"} {
		for name, rule := range map[string]sandbox.Rule{
			"it hangs":            {Hang: true, EffectDelayMS: 4300},
			"it resets":           {Reset: sandbox.AfterEffect, EffectDelayMS: 1500},
			"its headers are cut": {CutHeaders: 20, EffectDelayMS: 1500},
			"a gateway gives up":  {Status: 504, EffectDelayMS: 1500},
		} {
			t.Run(integration+" "+name, func(t *testing.T) {
				t.Parallel()
				b := newBook(t)
				b.vouchers(t, "A", 150, "2026-10-15", "3000", "0") // one chunk, or three
				rule.Times = 1
				b.fault(rule)
				in := b.input(t, "2026-10")
				in.IntegrationID, in.AdapterName = b.integrations[integration].ID, b.integrations[integration].Adapter
				in.Policy.MaxRetries = 0                   // so that it is the run that waits
				in.Policy.AttemptTimeout = 4 * time.Second // enough for a question on a busy machine, or that is deferred
				run := b.start(t, in)
				first := run.GetRunID()
				e := result(t, run).Export
				idle(t)
				require.Equal(t, []any{exports.Complete, 300, 0, 0}, []any{e.Status, e.Exported, e.Rejected, e.Unknown}, "%+v", e)
				require.Nil(t, e.DeferredUntil, "such a wait is no deferral")
				b.requireOnce(t, 300)

				var waits []string
				for _, list := range chain(t, run.GetID(), first) {
					for _, event := range list {
						if event.GetTimerStartedEventAttributes() != nil {
							waits = append(waits, string(event.GetUserMetadata().GetSummary().GetData()))
						}
					}
				}
				require.Equal(t, integration == "xledger-main", e.Chunks == 1)
				if e.Chunks == 1 { // else the time may have passed while the others were made
					require.NotEmpty(t, waits)
				}
				for _, w := range waits {
					require.Regexp(t, regexp.MustCompile(`^"waiting until \d\d:\d\d:\d\d UTC for what `+title+` may still be doing"$`), w)
				}
			})
		}
	}
}
