package e2e

import (
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/graphqlserver"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// seen is what integrations verify prints as JSON.
type seen struct {
	Integration, Message string
	Checks               []adapters.Check
}

func (s seen) states() string {
	var list []string
	for _, c := range s.Checks {
		list = append(list, c.What+" "+string(c.State))
	}
	return strings.Join(list, "\n")
}

// The contract with each vendor is checked by the worker, with requests that change
// nothing; what differs is named with its remedy, and the exit code says so.
func TestVerify(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	before := len(stack.Sandbox.Effects())
	out, words, code := starter(t, "", "integrations", "verify", "--org", b.id.String(), "-o", "json")
	require.Equal(t, 1, code, words)
	require.Contains(t, words, "1 of 4 integrations failed: the vendor differs from what exports need, or could not be asked")
	all := fromJSON[[]seen](t, out)
	require.Len(t, all, 4)
	for _, s := range all {
		require.Empty(t, s.Message, s.Integration)
		differing := adapters.Contract{Checks: s.Checks}.Differing()
		if s.Integration != "xledger-old" {
			require.Empty(t, differing, s.Integration)
			require.Contains(t, s.states(), "checked")
			continue
		}
		require.Len(t, differing, 1)
		require.Equal(t, "token", differing[0].What)
		require.Contains(t, differing[0].Remedy, "make a new API token")
	}
	require.Len(t, stack.Sandbox.Effects(), before, "nothing was changed")
	out, _, code = starter(t, "", "integrations", "verify", "--org", b.id.String(), "--integration", "crm")
	require.Zero(t, code)
	require.Contains(t, out, "REMEDY")

	unreadable := sandbox.Rule{Match: sandbox.Match{Vendor: "xledger", BodyContains: "__schema"}, Times: 1, Status: http.StatusOK, Body: `{"errors":[{"message":"introspection is off"}]}`}
	stack.Sandbox.Script(unreadable)
	out, _, code = starter(t, "", "integrations", "verify", "--org", b.id.String(), "--integration", "xledger-main")
	require.Zero(t, code, "what the vendor does not show is no difference")
	require.Regexp(t, `schema +assumed +the vendor does not show its schema: .*introspection is off +nothing, if the first export arrives`, out)

	_, words, code = starter(t, "", "integrations", "verify", "--org", b.id.String(), "--integration", "nobody")
	require.Equal(t, 1, code)
	require.Contains(t, words, "nobody")
}

// A run checks the contract before the first export and after the file changed, and
// not in between; what differs ends it with its entries as they are, and people are
// notified.
func TestRunVerifiesFirst(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 3, "2026-09-15", "3000", "0")
	contract := func() []string {
		return queryStrings(t, `SELECT (checks @> '[{"state": "differs"}]') || ' ' || jsonb_array_length(checks) || ' ' || coalesce(learned ->> 'amount', '')
			FROM ledgerline.vendor_contracts WHERE organization_id = $1`, b.id)
	}
	refuse := stack.Sandbox.Script(sandbox.Rule{Match: sandbox.Match{Vendor: "xledger", BodyContains: "extIdentifier_in:[\\\"ledgerline-verify"}, Times: 1,
		Status: http.StatusForbidden, Body: `{"errors":[{"message":"Not allowed"}]}`})
	e := result(t, b.start(t, b.input(t, "2026-09"))).Export
	require.Equal(t, 1, stack.Sandbox.Fired(refuse))
	require.Equal(t, []string{"failed", "configuration"}, []string{string(e.Status), string(e.ErrorCode)})
	require.Contains(t, e.ErrorMessage, "the vendor is not as exports need it: look-up of import items by extIdentifier")
	require.Contains(t, e.ErrorMessage, "give the token's user the right to read general ledger import items")
	require.Equal(t, []int{6, 0, 0, 0, 6}, []int{e.Total, e.Exported, e.Rejected, e.Unknown, e.Unsent()})
	require.Equal(t, []string{"unsent"}, queryStrings(t, "SELECT cause FROM ledgerline.notifications WHERE organization_id = $1", b.id))
	require.Regexp(t, "^true ", contract()[0])

	in := b.input(t, "2026-09")
	in.ParentID, in.Trigger = &e.ID, exports.ByRetry
	e = result(t, b.start(t, in)).Export
	require.Equal(t, exports.Complete, e.Status, "%+v", e)
	require.Equal(t, 6, e.Exported)
	require.Regexp(t, "^false .* text$", contract()[0])
	require.Greater(t, e.LookUps, 4)
	first := e.Requests

	b.vouchers(t, "B", 3, "2026-10-15", "3000", "0")
	e = result(t, b.start(t, b.input(t, "2026-10"))).Export
	require.Equal(t, exports.Complete, e.Status)
	require.Less(t, e.Requests, first, "the contract holds")
	require.Equal(t, 1, e.LookUps, "late errors were asked for")
	out, _, _ := starter(t, "", "exports", "show", e.ID.String(), "--org", b.id.String(), "--details")
	require.Regexp(t, `requests +2, of them 1 look-up`, out)

	queryStrings(t, `UPDATE ledgerline.integrations SET settings = '{"amounts": "number"}' WHERE organization_id = $1 AND name = 'xledger-main' RETURNING name`, b.id)
	b.vouchers(t, "C", 3, "2026-11-15", "3000", "0")
	e = result(t, b.start(t, b.input(t, "2026-11"))).Export
	require.Equal(t, exports.Complete, e.Status, "%+v", e)
	require.Greater(t, e.LookUps, 4, "the file has changed")
	b.requireOnce(t, 18)
}

// A server of which nobody here wrote the GraphQL part, with type names and scalars
// that are drawn, takes an export whole.
func TestExportToAStranger(t *testing.T) {
	for _, seed := range []uint64{3, 44, uint64(time.Now().UnixNano())} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := graphqlserver.New(seed)
			server := httptest.NewServer(s)
			defer server.Close()
			host := strings.TrimPrefix(server.URL, "http://")
			env := append(stack.Env(devstack.Worker), "LEDGERLINE_DEV_VENDOR_HOSTS="+strings.Join(append(stack.DevHosts(), host), ","))
			b := newBook(t)
			b.vouchers(t, "A", 60, "2026-10-15", "3000", "0")
			file := fmt.Sprintf("organization: %s\nintegrations:\n  - id: %s\n    name: stranger\n    adapter: xledger\n    baseURL: %s/graphql\n    credentials: {token: %s}\n    inFlight: 1s\n    export: {chunkSize: 50}\n", b.id, uuid.New(), server.URL, stack.Secret(b.id, "stranger-token", graphqlserver.Token))
			operator := append(stack.Env(devstack.Operator), "LEDGERLINE_DEV_VENDOR_HOSTS="+host)
			_, words, code := starterEnv(t, operator, file, "integrations", "apply", "-f", "-")
			require.Zero(t, code, words)
			startWorkerEnv(t, env)
			out, words, code := starterEnv(t, operator, "", "integrations", "verify", "--org", b.id.String(), "--integration", "stranger")
			require.Zero(t, code, out+words)
			out, words, code = starterEnv(t, operator, "", "sync", "--org", b.id.String(), "--integration", "stranger", "--period", "2026-10", "-o", "json")
			require.Zero(t, code, words)
			e := fromJSON[synced](t, out).Export
			require.Equal(t, exports.Complete, e.Status, "%s: %+v", s.Types, e)
			require.Equal(t, []int{120, 120}, []int{e.Total, e.Exported})
			items, sum := s.Items(), new(big.Rat)
			require.Len(t, items, 120)
			keys := make(map[string]bool)
			for _, i := range items {
				keys[i.ExtIdentifier] = true
				amount, ok := new(big.Rat).SetString(i.Amount)
				require.True(t, ok)
				sum.Add(sum, amount.Abs(amount))
			}
			require.Len(t, keys, 120)
			require.Equal(t, "12012.00", sum.FloatString(2))
			out, words, code = starterEnv(t, operator, "", "exports", "prove", e.ID.String(), "--org", b.id.String())
			require.Zero(t, code, out+words)
		})
	}
}

// 300 vouchers of a period that is closed at the vendor: the run ends as failed
// after a hundred requests at most, and nothing is rejected.
func TestAllRefusedForOneReason(t *testing.T) {
	startWorker(t)
	for _, v := range []struct{ integration, refusal string }{
		{"xledger-main", `{"data":{"addGLImportItems":null},"errors":[{"message":"Period 2026-10 is closed for voucher 17"}]}`},
		{"crm", `{"error":{"code":"0x80040203","message":"Period 2026-10 is closed"}}`},
		{"erp", `{"error":{"code":"Application_DialogException","message":"Posting Date is not within your range of allowed posting dates.  CorrelationId:  0a0a0a0a-1b1b-4c2c-8d3d-4e4e4e4e4e4e."}}`},
	} {
		t.Run(v.integration, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			b.vouchers(t, "A", 300, "2026-10-15", "3000", "0")
			status := http.StatusBadRequest
			if v.integration == "xledger-main" {
				status = http.StatusOK
			}
			b.fault(sandbox.Rule{Status: status, Body: v.refusal})
			in := b.input(t, "2026-10")
			spec := b.integrations[v.integration]
			in.IntegrationID, in.AdapterName = spec.ID, spec.Adapter
			e := result(t, b.start(t, in)).Export
			require.Equal(t, exports.Failed, e.Status, "%+v", e)
			require.Equal(t, []int{600, 0, 0, 0, 600}, []int{e.Total, e.Exported, e.Rejected, e.Unknown, e.Unsent()})
			require.Contains(t, e.ErrorMessage, "16 vouchers from all over the plan were refused for the same reason, and nothing was accepted, so none of them is recorded as refused")
			require.LessOrEqual(t, e.Requests, 100)
			require.NotZero(t, e.Isolating)
			require.Equal(t, []string{"unsent"}, queryStrings(t, "SELECT cause FROM ledgerline.notifications WHERE organization_id = $1", b.id))
			out, _, _ := starter(t, "", "exports", "show", e.ID.String(), "--org", b.id.String(), "--details")
			require.Regexp(t, `requests +\d+, of them \d+ look-ups?; \d+ to find the vouchers that were refused`, out)
			require.Contains(t, out, "600 not sent")
			b.requireOnce(t, 0)
		})
	}
}

// A vendor that takes less, or gives up, gets less: nobody is rejected, and the next
// run begins with the size that worked.
func TestChunksFitTheVendor(t *testing.T) {
	startWorker(t)
	for name, fault := range map[string]sandbox.Rule{
		"413":       {Status: http.StatusRequestEntityTooLarge},
		"504":       {Status: http.StatusGatewayTimeout},
		"408":       {Status: http.StatusRequestTimeout},
		"no answer": {Hang: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			queryStrings(t, `UPDATE ledgerline.integrations SET export = '{"chunkSize": 100}' WHERE organization_id = $1 AND name = 'xledger-main' RETURNING name`, b.id)
			b.vouchers(t, "A", 100, "2026-09-15", "3000", "0")
			fault.Match.Keys = 31
			b.fault(fault)
			e := result(t, b.start(t, b.input(t, "2026-09"))).Export
			require.Equal(t, exports.Complete, e.Status, "%+v", e)
			require.Equal(t, []int{200, 200, 0}, []int{e.Total, e.Exported, e.Rejected})
			b.requireOnce(t, 200)
			size := queryStrings(t, "SELECT chunk_size::text FROM ledgerline.vendor_contracts WHERE organization_id = $1", b.id)
			require.Contains(t, []string{"24", "25"}, size[0])
			out, _, _ := starter(t, "", "exports", "show", e.ID.String(), "--org", b.id.String(), "--details")
			require.Contains(t, out, "begins with "+size[0]+" entries in a request")

			b.vouchers(t, "B", 50, "2026-10-15", "3000", "0")
			before := len(b.sends(t))
			e = result(t, b.start(t, b.input(t, "2026-10"))).Export
			require.Equal(t, exports.Complete, e.Status, "%+v", e)
			require.Equal(t, 100, e.Exported)
			for _, s := range b.sends(t)[before:] {
				require.LessOrEqual(t, len(s.Keys), 25)
				require.Equal(t, http.StatusOK, s.Status)
			}
		})
	}
}
