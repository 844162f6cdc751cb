package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// lookUp stores at a vendor and asks it, for a test of what look-ups answer.
type lookUp struct {
	store func(key string)
	ask   func(headers ...string) string // for k0 to k3
	next  func(answer string) string     // the page after it, with its status
	match sandbox.Match                  // of asking
}

func (s server) lookUp(vendor string) lookUp {
	switch vendor {
	case "businesscentral":
		return s.odataLookUp(bcRoot+bcLines, "externalDocumentNumber", "POST", "")
	case "dataverse":
		return s.odataLookUp(dvRoot+"rows", "k", "PATCH", "(k='%')")
	}
	ask := func(after string) (int, string) {
		return s.graphQL(`{"query":"query($ids:[String!],$after:String){glImportItems(after:$after,filter:{extIdentifier_in:$ids}){edges{cursor node{extIdentifier}} pageInfo{hasNextPage}}}",
			"variables":{"ids":["k0-0","k1-0","k2-0","k3-0"],"after":` + after + `}}`)
	}
	return lookUp{
		store: func(key string) { s.graphQL(items(key, "0")) },
		ask: func(...string) string {
			_, body := ask("null")
			return body
		},
		next: func(answer string) string {
			require.Contains(s.t, answer, `"hasNextPage":true`)
			_, cursor, _ := strings.Cut(answer[strings.LastIndex(answer, `"cursor":`):], ":")
			cursor, _, _ = strings.Cut(cursor, ",")
			return fmt.Sprint(ask(cursor))
		},
		match: sandbox.Match{Operation: "glImportItems"},
	}
}

func (s server) odataLookUp(path, column, method, address string) lookUp {
	token := s.token()
	return lookUp{
		store: func(key string) {
			status, body, _ := s.do(method, path+strings.ReplaceAll(address, "%", key), token, `{"`+column+`":"`+key+`"}`)
			require.Less(s.t, status, 300, body)
		},
		ask: func(headers ...string) string {
			filter := fmt.Sprintf("%[1]s eq 'k0' or %[1]s eq 'k1' or %[1]s eq 'k2' or %[1]s eq 'k3'", column)
			_, body, _ := s.do("GET", path+"?"+url.Values{"$filter": {filter}, "$select": {column}}.Encode(), token, "", headers...)
			return body
		},
		next: func(answer string) string {
			var p odataPage
			require.NoError(s.t, json.Unmarshal([]byte(answer), &p))
			require.NotEmpty(s.t, p.Next)
			status, body, _ := s.do("GET", strings.TrimPrefix(p.Next, s.url), token, "")
			return fmt.Sprint(status, " ", body)
		},
		match: sandbox.Match{Method: "GET"},
	}
}

// has lists the keys that an answer has.
func has(answer string) (keys []string) {
	for i := range 10 {
		if k := fmt.Sprint("k", i); strings.Contains(strings.ToLower(answer), `"`+k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// A replica that lags behind shows what there was.
func TestStale(t *testing.T) {
	for _, vendor := range []string{"xledger", "businesscentral", "dataverse"} {
		t.Run(vendor, func(t *testing.T) {
			s, c, began := ticking(t, sandbox.Options{})
			v := s.lookUp(vendor)
			v.store("k0")
			s.Script(sandbox.Rule{Times: 2, Stale: true, Match: v.match})
			v.store("k1")
			require.Equal(t, []string{"k0"}, has(v.ask()), "as when it was scripted, though the clock has not moved")
			s.Forget("k0")
			s.Forget("k0-0")
			require.Equal(t, []string{"k0"}, has(v.ask()), "what has gone is still there")
			require.Equal(t, []string{"k1"}, has(v.ask()))

			c.move(time.Second)
			v.store("k2")
			v.store("k0")
			s.Script(sandbox.Rule{Times: 2, Stale: true, AsOf: began, Match: v.match})
			fresh := has(v.ask("Data-Access-Intent", "ReadWrite"))
			if vendor == "businesscentral" {
				require.Equal(t, []string{"k0", "k1", "k2"}, fresh, "who asks for it is answered by the database itself")
			} else {
				require.Equal(t, []string{"k1"}, fresh)
			}
			require.Equal(t, []string{"k1"}, has(v.ask()))
			s.Script(sandbox.Rule{Times: 1, Stale: true, AsOf: began.Add(-time.Second), Match: v.match})
			require.Empty(t, has(v.ask()))
			require.Equal(t, []string{"k0", "k1", "k2"}, has(v.ask()))
		})
	}
}

// A row is shown as it was before it was changed.
func TestStaleContent(t *testing.T) {
	s := start(t)
	token := s.token()
	patch := func(x string) { s.do("PATCH", dvRoot+"rows(k='a')", token, `{"x":`+x+`}`) }
	get := func() string {
		_, body, _ := s.do("GET", dvRoot+"rows(k='a')", token, "")
		return body
	}
	patch("1")
	s.Script(sandbox.Rule{Times: 2, Stale: true, Match: sandbox.Match{Method: "GET"}})
	patch("2")
	patch("3")
	require.Contains(t, get(), `"x":1`)
	s.do("DELETE", dvRoot+"rows(k='a')", token, "")
	require.Contains(t, get(), `"x":1`)
	require.Contains(t, get(), "Does Not Exist")
	patch("4")
	require.Contains(t, get(), `"x":4`)
	require.NotContains(t, get(), `W/\"4\"`, "it is another row")
	require.Len(t, s.Records("a"), 1)
}

// What was posted is still in the journal of a replica, and not yet in its
// ledger.
func TestStaleLedger(t *testing.T) {
	s := start(t)
	token := s.token()
	ledger := bcRoot + "companies(c)/generalLedgerEntries"
	s.do("POST", bcRoot+bcLines, token, line("k"))
	s.Script(sandbox.Rule{Times: 2, Stale: true, Match: sandbox.Match{Method: "GET"}})
	s.Post(sandbox.DemoJournalID)
	require.Len(t, s.page(bcRoot+bcLines, token, nil).Value, 1)
	require.Empty(t, s.page(ledger, token, nil).Value)
	require.Empty(t, s.page(bcRoot+bcLines, token, nil).Value)
	require.Len(t, s.page(ledger, token, nil).Value, 1)
}

// The other ways in which an answer can be false.
func TestFalseLookUps(t *testing.T) {
	for _, vendor := range []string{"xledger", "businesscentral", "dataverse"} {
		t.Run(vendor, func(t *testing.T) {
			s := start(t)
			v := s.lookUp(vendor)
			for i := range 6 {
				v.store(fmt.Sprint("k", i))
			}
			script := func(how string) { s.Script(sandbox.Rule{Times: 1, Lookup: how, Match: v.match}) }
			ask := func(how string) string {
				script(how)
				return v.ask()
			}
			require.Equal(t, []string{"k0", "k1", "k2", "k3"}, has(v.ask()))
			require.Equal(t, []string{"k0", "k2"}, has(ask(sandbox.Partial)))
			require.Empty(t, has(ask(sandbox.Empty)))
			require.NotContains(t, ask(sandbox.Empty), "error")
			require.Equal(t, []string{"k0", "k1", "k2", "k3", "k4", "k5"}, has(ask(sandbox.FilterIgnored)))
			first := ask(sandbox.SecondPageMissing)
			require.Equal(t, []string{"k0", "k1"}, has(first))
			script(sandbox.SecondPageMissing)
			require.True(t, strings.HasPrefix(v.next(first), "500"))
			require.Equal(t, []string{"k2", "k3"}, has(v.next(first)), "an honest second page")
		})
	}
	s := start(t)
	status, body, _ := s.do("POST", "/_script", "", `{"lookUp":"partial","stale":true,"asOf":"2026-11-02T06:00:00Z"}`)
	require.Equal(t, 204, status, body)
}

// In a batch, too, every second row is missing.
func TestPartialBatch(t *testing.T) {
	s := start(t)
	token := s.token()
	var parts []string
	for i := range 4 {
		s.do("POST", bcRoot+bcLines, token, line(fmt.Sprint("k", i)))
		parts = append(parts, fmt.Sprintf(`{"id":"%d","method":"GET","url":"%s?$filter=externalDocumentNumber%%20eq%%20'k%d'"}`, i, bcLines, i))
	}
	s.Script(sandbox.Rule{Lookup: sandbox.Partial})
	_, body, _ := s.do("POST", bcRoot+"$batch", token, `{"requests":[`+strings.Join(parts, ",")+`]}`)
	require.Equal(t, []string{"k0", "k2"}, has(body))
}
