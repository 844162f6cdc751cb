package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// odataPage is a page of an OData look-up.
type odataPage struct {
	Count *int                         `json:"@odata.count"`
	Next  string                       `json:"@odata.nextLink"`
	Value []map[string]json.RawMessage `json:"value"`
}

// texts is a column of a page.
func (p odataPage) texts(column string) (texts []string) {
	for _, r := range p.Value {
		var s string
		_ = json.Unmarshal(r[column], &s)
		texts = append(texts, s)
	}
	return texts
}

func (s server) page(path, token string, query url.Values, headers ...string) (p odataPage) {
	s.t.Helper()
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	status, body, _ := s.do("GET", strings.TrimPrefix(path, s.url), token, "", headers...)
	require.Equal(s.t, 200, status, body)
	require.NoError(s.t, json.Unmarshal([]byte(body), &p))
	return p
}

// However many nodes are asked for, a page holds so many.
func TestXledgerPages(t *testing.T) {
	s := startWith(t, sandbox.Options{PageSize: 3})
	for i := range 4 {
		_, body := s.graphQL(items(fmt.Sprint(i), "1.00", "-1.00"))
		require.NotContains(t, body, "errors")
	}
	s.Forget("1-0")
	for ids, want := range map[string][]string{
		`["0-0","0-1","1-0","1-1","2-0"]`: {"0-0 0-1 1-1", "2-0"}, `[]`: {""}, `null`: {"0-0 0-1 1-1", "2-0 2-1 3-0", "3-1"},
	} {
		var pages []string
		for after := "null"; ; {
			_, body := s.graphQL(`{"query":"query($ids:[String!],$n:Int,$after:String){glImportItems(first:$n,after:$after,filter:{extIdentifier_in:$ids}){edges{cursor node{dbId extIdentifier amount}} pageInfo{hasNextPage}}}","variables":{"ids":` + ids + `,"n":1000,"after":` + after + `}}`)
			var a struct {
				Data struct {
					GLImportItems struct {
						Edges []struct {
							Cursor string
							Node   struct{ ExtIdentifier, Amount, DBID string }
						}
						PageInfo struct{ HasNextPage bool }
					}
				}
			}
			require.NoError(t, json.Unmarshal([]byte(body), &a), body)
			var found []string
			for _, e := range a.Data.GLImportItems.Edges {
				found, after = append(found, e.Node.ExtIdentifier), fmt.Sprintf("%q", e.Cursor)
				require.Contains(t, []string{"1.00", "-1.00"}, e.Node.Amount, "a node is what was stored")
				require.Equal(t, e.Cursor, e.Node.DBID)
			}
			pages = append(pages, strings.Join(found, " "))
			if !a.Data.GLImportItems.PageInfo.HasNextPage {
				break
			}
		}
		require.Equal(t, want, pages, ids)
	}
}

func TestBusinessCentralPages(t *testing.T) {
	s := startWith(t, sandbox.Options{PageSize: 3})
	token, lines := s.token(), bcRoot+bcLines
	for i := range 7 {
		status, _, _ := s.do("POST", lines, token, fmt.Sprintf(`{"externalDocumentNumber":"e%d","documentNumber":"d%d","accountNumber":"1920","description":"it's %d"}`, i, i/4, i))
		require.Equal(t, 201, status)
	}
	all := s.page(lines, token, url.Values{"$count": {"true"}, "$select": {"externalDocumentNumber"}})
	require.Equal(t, 7, *all.Count)
	require.Equal(t, []string{"E0", "E1", "E2"}, all.texts("externalDocumentNumber"))
	require.Len(t, all.Value[0], 1, "only what was selected")
	require.True(t, strings.HasPrefix(all.Next, s.url+lines+"?"), all.Next)
	all = s.page(all.Next, token, nil)
	require.Equal(t, []string{"E3", "E4", "E5"}, all.texts("externalDocumentNumber"))
	require.Len(t, all.Value[0], 1, "the link says what was selected")
	s.Forget("e4")
	all = s.page(all.Next, token, nil)
	require.Equal(t, []string{"E6"}, all.texts("externalDocumentNumber"))
	require.Empty(t, all.Next)

	find := func(filter string, headers ...string) odataPage {
		return s.page(lines, token, url.Values{"$filter": {filter}}, headers...)
	}
	require.Equal(t, []string{"E0", "E1", "E2"}, find("documentNumber eq 'D0' or documentNumber eq 'x'").texts("externalDocumentNumber"))
	require.NotEmpty(t, find("documentNumber eq 'd0'").Next)
	require.Equal(t, []string{"E5", "E6"}, find("documentNumber eq 'd1'").texts("externalDocumentNumber"))
	require.Equal(t, []string{"E5"}, find("documentNumber eq 'd1'", "Prefer", "odata.continue-on-error, odata.maxpagesize=1").texts("externalDocumentNumber"))
	require.Len(t, find("documentNumber eq 'd0'", "Prefer", "odata.maxpagesize=5000").Value, 3)
	require.Equal(t, []string{"E3"}, find("description eq 'it''s 3'").texts("externalDocumentNumber"))
	require.Len(t, find("accountNumber eq '1920'").Value, 3)
	require.Len(t, s.page(lines, token, url.Values{"$top": {"2"}}).Value, 2)

	part := func(headers string) string {
		return `{"id":"1","method":"GET","url":"` + bcLines + `?$select=id&$filter=documentNumber%20eq%20'd0'",` + headers + `"body":null}`
	}
	_, body, _ := s.do("POST", bcRoot+"$batch", token, `{"requests":[`+part("")+`,`+part(`"headers":{"Prefer":"odata.maxpagesize=2"},`)+`]}`)
	var batch struct {
		Responses []struct{ Body odataPage }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &batch), body)
	require.Len(t, batch.Responses[0].Body.Value, 3)
	require.Len(t, batch.Responses[1].Body.Value, 2)
	rest := s.page(batch.Responses[1].Body.Next, token, nil)
	require.Len(t, rest.Value, 2, "the link does not carry the preference; the rest fits")
	require.Empty(t, rest.Next)

	for _, bad := range []url.Values{{"$skiptoken": {"x"}}, {"$top": {"x"}}, {"$filter": {"amount eq '1'"}}} {
		status, _, _ := s.do("GET", lines+"?"+bad.Encode(), token, "")
		require.Equal(t, 400, status, bad)
	}
}

func TestDataversePages(t *testing.T) {
	s := startWith(t, sandbox.Options{PageSize: 2})
	token := s.token()
	for i := range 5 {
		s.do("PATCH", fmt.Sprintf("%srows(k='k%d')", dvRoot, i), token, `{"x":1}`)
	}
	s.do("PATCH", dvRoot+"others(k='k9')", token, `{"x":1}`)
	var found []string
	var pages int
	for p := s.page(dvRoot+"rows", token, url.Values{"$count": {"true"}}); ; p = s.page(p.Next, token, nil) {
		require.Equal(t, 5, *p.Count, "of all, whatever the page")
		found, pages = append(found, p.texts("k")...), pages+1
		if p.Next == "" {
			break
		}
	}
	require.Equal(t, []string{"k0", "k1", "k2", "k3", "k4"}, found)
	require.Equal(t, 3, pages)

	get := "--b\r\nContent-Type: application/http\r\n\r\nGET rows?$select=k&$filter=k%20eq%20'k1'%20or%20k%20eq%20'k2' HTTP/1.1\r\nPrefer: odata.maxpagesize=1\r\n\r\n\r\n"
	status, body, _ := s.do("POST", dvRoot+"$batch", token, get+"--b--\r\n", "Content-Type", "multipart/mixed; boundary=b")
	require.Equal(t, 200, status, body)
	require.Contains(t, body, `"k":"k1"`)
	_, link, _ := strings.Cut(body, `"@odata.nextLink":"`)
	link, _, _ = strings.Cut(link, `"`)
	require.NoError(t, json.Unmarshal([]byte(`"`+link+`"`), &link))
	require.Equal(t, []string{"k2"}, s.page(link, token, nil).texts("k"))
}
