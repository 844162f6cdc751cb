package sandbox_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// What is posted moves from the journal to the ledger, where it is known by its
// document number only.
func TestLedger(t *testing.T) {
	s, c, _ := ticking(t, sandbox.Options{PageSize: 2})
	token, lines := s.token(), bcRoot+bcLines
	ledger := bcRoot + "companies(" + sandbox.DemoCompanyID + ")/generalLedgerEntries"
	for _, line := range []string{
		`{"externalDocumentNumber":"k1","documentNumber":"v1","accountNumber":"3000","amount":-10.10,"postingDate":"2026-10-05","description":"a"}`,
		`{"externalDocumentNumber":"k2","documentNumber":"v1","accountNumber":"1920","amount":10.10,"postingDate":"2026-10-05"}`,
		`{"externalDocumentNumber":"k3","documentNumber":"v1","accountNumber":"1920","amount":0}`,
	} {
		status, body, _ := s.do("POST", lines, token, line)
		require.Equal(t, 201, status, body)
	}
	reference := s.Records("k1")[0].Reference
	require.Empty(t, s.page(ledger, token, nil).Value)
	c.move(time.Minute)
	require.Equal(t, 3, s.Post(sandbox.DemoJournalID))
	require.Zero(t, s.Post(sandbox.DemoJournalID))
	require.Zero(t, s.Post("another"))
	require.Empty(t, s.page(lines, token, nil).Value)
	require.Empty(t, s.page(lines, token, url.Values{"$filter": {"externalDocumentNumber eq 'k1'"}}).Value)

	p := s.page(ledger, token, url.Values{"$filter": {"documentNumber eq 'v1' or documentNumber eq 'v2'"}, "$count": {"true"}})
	require.Equal(t, 3, *p.Count)
	require.Len(t, p.Value, 2)
	first := p.Value[0]
	for column, want := range map[string]string{
		"entryNumber": "1", "documentNumber": `"V1"`, "accountNumber": `"3000"`, "postingDate": `"2026-10-05"`, "description": `"a"`,
		"debitAmount": "0", "creditAmount": "10.10", "lastModifiedDateTime": `"2026-11-02T06:01:00.000Z"`, "documentType": `" "`,
	} {
		require.Equal(t, want, string(first[column]), column)
	}
	require.NotContains(t, first, "externalDocumentNumber")
	require.Equal(t, "10.10", string(p.Value[1]["debitAmount"]))
	require.Len(t, s.page(p.Next, token, nil).Value, 1)
	require.Len(t, s.page(ledger, token, url.Values{"$select": {"documentNumber"}}).Value[0], 1)

	for _, bad := range []url.Values{{"$filter": {"externalDocumentNumber eq 'k1'"}}, {"$select": {"externalDocumentNumber"}}} {
		status, body, _ := s.do("GET", ledger+"?"+bad.Encode(), token, "")
		require.Equal(t, 400, status)
		require.Contains(t, body, "Could not find a property named 'externalDocumentNumber'")
	}
	status, body, _ := s.do("POST", ledger, token, `{}`)
	require.Equal(t, 405, status)
	require.Contains(t, body, "BadRequest_MethodNotAllowed")

	require.Len(t, s.Records("k1"), 1)
	require.True(t, s.Records("k1")[0].Posted)
	require.Equal(t, reference, s.Records("k1")[0].Reference)
	require.Contains(t, string(s.Records("k1")[0].Content), `"amount":-10.10`)
	s.Forget("k1")
	require.Len(t, s.Records("k1"), 1, "nobody can take back what was posted")

	s.do("POST", lines, token, `{"externalDocumentNumber":"k1","documentNumber":"v1"}`)
	require.Len(t, s.Records("k1"), 2, "the books are both")
	post := strings.TrimSuffix(lines, "journalLines") + "Microsoft.NAV.post"
	status, _, _ = s.do("POST", post, token, "")
	require.Equal(t, 204, status)
	require.Len(t, s.Records("k1"), 2)

	s.do("POST", lines, token, `{"externalDocumentNumber":"k4"}`)
	batch := `{"requests":[{"id":"1","method":"POST","url":"` + strings.TrimPrefix(post, bcRoot) + `"},{"id":"2","method":"POST","url":"nowhere"}]}`
	_, body, _ = s.do("POST", bcRoot+"$batch", token, batch, "Isolation", "snapshot")
	require.Contains(t, body, `"status":404`)
	require.False(t, s.Records("k4")[0].Posted, "rolled back")
	require.Len(t, s.Records("k4"), 1)
}
