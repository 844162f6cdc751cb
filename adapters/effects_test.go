package adapters_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters/businesscentral"
	"github.com/ledgerline/ledgerline/adapters/dataverse"
	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// What is known of an export's chunk that is accepted, and of one that is
// refused: a change set of upserts happens as a whole or not at all; the others
// are asked for.
func TestEffectsOfExports(t *testing.T) {
	refused := map[string]classify.Effect{xledger.Name: classify.Open, businesscentral.Name: classify.Open, dataverse.Name: classify.None}
	everyExporter(t, func(t *testing.T, b books) {
		entries := vouchers("A", 4, "3000")
		_, v := b.send(t, entries)
		require.Equal(t, classify.Done, v.Effect, "%+v", v)
		entries = vouchers("B", 4, "3000")
		entries[3].Account = "X999"
		_, v = b.send(t, entries)
		require.Equal(t, refused[b.name], v.Effect, "%+v", v)
		require.Equal(t, refused[b.name] == classify.Open, v.Ended, "the answer is a refusal: the work has ended")
		require.Empty(t, b.find(t, entries))
	})
}

// A change set proves nothing unless the part says that it was refused.
func TestChangeSetsThatProveNothing(t *testing.T) {
	for name, part := range map[string]string{
		"the vendor gave up": "HTTP/1.1 500 Error\r\n\r\n" + `{"error":{"code":"0x80044151","message":"SQL timeout expired."}}`,
		"a gateway's answer": "HTTP/1.1 500 Error\r\n\r\n" + `{"message":"no"}`,
		"one went well":      "HTTP/1.1 204 No Content\r\n\r\n\r\n--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n" + `{"error":{"code":"","message":"no"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, dataverse.Name)
			b.Script(sandbox.Rule{
				Match: sandbox.Match{Vendor: b.name}, Times: 1, Status: 400, Headers: map[string]string{"Content-Type": "multipart/mixed; boundary=b"},
				Body: "--b\r\nContent-Type: application/http\r\n\r\n" + part + "\r\n--b--\r\n",
			})
			_, v := b.send(t, vouchers("A", 4, "3000"))
			require.Equal(t, classify.Open, v.Effect, "%+v", v)
		})
	}
}

// A request that is not sent again must not have been refused in part: a token
// that one part of a batch was refused for is no reason to send all of them.
func TestPartsAreNotSentAgainForTheirToken(t *testing.T) {
	b := newBooks(t, businesscentral.Name)
	b.sent(t, vouchers("A", 2, "3000")) // from now on the token comes from the cache
	asked := b.asked(b.name)
	b.Script(sandbox.Rule{
		Match: sandbox.Match{Vendor: b.name}, Times: 1, Status: 200,
		Body: `{"responses":[{"id":"0","status":201,"body":{}},{"id":"1","status":401}]}`,
	})
	_, v := b.send(t, vouchers("B", 2, "3000"))
	require.Equal(t, classify.Unauthorized, v.Kind)
	require.True(t, v.Effect == classify.Open && v.Ended, "%+v", v)
	require.Equal(t, 1, b.asked(b.name)-asked)
}

// Parts that got nothing done prove it for themselves only.
func TestShortAnswersProveNothing(t *testing.T) {
	b := newBooks(t, businesscentral.Name)
	for n, effect := range map[int]classify.Effect{1: classify.None, 4: classify.Open} {
		b.Script(sandbox.Rule{
			Match: sandbox.Match{Vendor: b.name}, Times: 1, Status: 200,
			Body: `{"responses":[{"id":"0","status":404,"body":{"error":{"code":"Internal_CompanyNotFound","message":"no"}}}]}`,
		})
		_, v := b.send(t, vouchers("A", n, "3000")[:n])
		require.Equal(t, effect, v.Effect, "%+v", v)
		require.Equal(t, effect == classify.Open, v.Ended)
	}
}

// Reads have no effect, and what failed before a write was sent did nothing.
func TestEffectsBeforeAWrite(t *testing.T) {
	b := newBooks(t, businesscentral.Name)
	b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: "entra"}, Status: 503})
	_, v := b.ask(t, vouchers("A", 2, "3000"))
	require.Equal(t, classify.Unavailable, v.Kind)
	_, v = b.send(t, vouchers("A", 2, "3000"))
	require.Equal(t, classify.Unavailable, v.Kind)
	require.Equal(t, classify.None, v.Effect)
}
