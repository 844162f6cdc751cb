package sandbox_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// kinds lists the effects of a key.
func (s server) kinds(key string) (kinds []string) {
	for _, e := range s.Effects() {
		if e.Key == key {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}

// Connections honour first and after, and know what a node can hold.
func TestXledgerConnections(t *testing.T) {
	s := start(t)
	for i := range 3 {
		_, body := s.graphQL(items(fmt.Sprint(i), "1.00", "-1.00"))
		require.NotContains(t, body, "errors")
	}
	ask := func(after, first int) string {
		_, body := s.graphQL(fmt.Sprintf(`{"query":"query($n:Int,$after:String){glImportItems(first:$n,after:$after){edges{cursor} pageInfo{hasNextPage}}}","variables":{"n":%d,"after":"%d"}}`, first, after))
		return body
	}
	require.Equal(t, 4, strings.Count(ask(0, 4), "cursor"))
	require.Contains(t, ask(0, 4), `"hasNextPage":true`)
	require.Equal(t, 2, strings.Count(ask(4, 4), "cursor"))
	require.Contains(t, ask(4, 4), `"hasNextPage":false`)
	require.Contains(t, ask(0, 20000), "errors")

	for old, bad := range map[string]string{`"trRegNumber"`: `"voucher"`, `"code":"1920"`: `"number":"1920"`, `"account":{"code":"1920"}`: `"account":"1920"`} {
		_, body := s.graphQL(strings.ReplaceAll(items("9", "1.00", "-1.00"), old, bad))
		require.Contains(t, body, "INVALID_VALUE", bad)
	}
	_, body := s.graphQL(`{"query":"{glImportItemErrors(filter:{createdAt_gte:\"yesterday\"}){edges{cursor}}}"}`)
	require.Contains(t, body, "ARGUMENTS_OF_CORRECT_TYPE")
}

// The first upsert of a key, one that changes nothing and one that changes
// something are three things; a change set that fails leaves none of them.
func TestUpserts(t *testing.T) {
	s := start(t)
	token, root := s.token(), "/dataverse/api/data/v9.2/"
	patch := func(body string) int {
		status, _, _ := s.do("PATCH", root+"acme_lines(acme_key='k1')", token, body)
		return status
	}
	require.Equal(t, 204, patch(`{"acme_amount":0.10,"acme_text":"a"}`))
	require.Equal(t, 204, patch(`{"acme_text": "a", "acme_amount": 0.10}`))
	require.Equal(t, 204, patch(`{"acme_amount":0.1}`))
	require.Equal(t, 400, patch(`{"acme_account":"X1"}`))
	require.Equal(t, []string{"upsert", "upsert_again", "update"}, s.kinds("k1"))

	part := func(body string) string {
		return "--c\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\nPATCH acme_lines(acme_key='k1') HTTP/1.1\r\n\r\n" + body + "\r\n"
	}
	batch := "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n" + part(`{"acme_text":"b"}`) + part(`{"acme_account":"X1"}`) + "--c--\r\n--b--\r\n"
	status, body, _ := s.do("POST", root+"$batch", token, batch, "Content-Type", "multipart/mixed; boundary=b")
	require.Equal(t, 400, status, body)
	require.Len(t, s.kinds("k1"), 3)
	list := func(filter string) string {
		_, body, _ := s.do("GET", root+"acme_lines?"+url.Values{"$filter": {filter}}.Encode(), token, "")
		return body
	}
	require.Contains(t, list("acme_key eq 'k1' or acme_key eq 'k2'"), `"acme_text":"a"`)
	require.Contains(t, list("acme_key eq 'k1'"), `"acme_amount":0.1,`)
	require.Contains(t, list("startswith(acme_key,'k')"), "0x80060888")
	s.Forget("k1")
	require.NotContains(t, list("acme_key eq 'k1'"), "acme_text")
}

// A journal line's numbers are kept in capitals and found in any case.
func TestJournalLines(t *testing.T) {
	s := start(t)
	token := s.token()
	lines := "/businesscentral/v2.0/sandbox/api/v2.0/companies(" + sandbox.DemoCompanyID + ")/journals(" + sandbox.DemoJournalID + ")/journalLines"
	add := func(body string) (int, string) {
		status, answer, _ := s.do("POST", lines, token, body)
		return status, answer
	}
	status, body := add(`{"externalDocumentNumber":"ab","amount":0.10}`)
	require.Equal(t, 201, status)
	require.Contains(t, body, `"externalDocumentNumber":"AB"`)
	require.Contains(t, body, `"amount":0.10`)
	require.Equal(t, []string{"journal_line"}, s.kinds("ab"))
	for bad, says := range map[string]string{
		`{"documentNumber":"` + strings.Repeat("1", 21) + `"}`: "Application_StringExceededLength",
		`{"amount":"0.10"}`:       "Edm.Decimal",
		`{"accountNumber":"X10"}`: "Internal_InvalidTableRelation",
	} {
		status, body = add(bad)
		require.Equal(t, 400, status)
		require.Contains(t, body, says)
	}
	status, body = add(`{"accountNumber":"K10","externalDocumentNumber":"k"}`)
	require.Equal(t, 409, status)
	require.Contains(t, body, "Request_EntityChanged")
	status, _ = add(`{"accountNumber":"K10","externalDocumentNumber":"k"}`)
	require.Equal(t, 201, status)
	find := func(filter string) string {
		_, body, _ := s.do("GET", lines+"?"+url.Values{"$select": {"id,externalDocumentNumber"}, "$filter": {filter}}.Encode(), token, "")
		return body
	}
	require.Contains(t, find("externalDocumentNumber eq 'Ab'"), `"AB"`)
	require.NotContains(t, find("externalDocumentNumber eq 'Ab'"), "amount", "not selected")
	require.Contains(t, find("amount gt 1"), "cannot be read")
	s.Script(sandbox.Rule{Times: 1, Status: 503, Match: sandbox.Match{BodyContains: "%27AB%27"}})
	require.Empty(t, find("externalDocumentNumber eq 'AB'"), "a request without a body is known by its query")
	require.Equal(t, 1, strings.Count(find("externalDocumentNumber eq 'AB'"), s.Records("ab")[0].Reference))
	require.Contains(t, string(s.Records("ab")[0].Content), `"amount":0.10`)
	s.Forget("ab")
	require.Empty(t, s.Records("ab"))
	require.JSONEq(t, `{"value":[]}`, find("externalDocumentNumber eq 'AB'"))
}
