package sandbox_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// What a request carries is known from the moment at which it arrives.
func TestKeys(t *testing.T) {
	s := start(t)
	token := s.token()
	bcPart := func(method, url, body string) string {
		return fmt.Sprintf(`{"id":"1","method":%q,"url":%q,"body":%s}`, method, url, body)
	}
	dvPart := func(line, body string) string {
		return "Content-Type: application/http\r\nContent-ID: 1\r\n\r\n" + line + " HTTP/1.1\r\n\r\n" + body + "\r\n"
	}
	filter := func(f string) string { return "?$filter=" + url.PathEscape(f) }
	for name, c := range map[string]struct {
		method, path, body string
		keys, asked        []string
		wrote              bool
	}{
		"import":      {"POST", xledgerPath, items("aB", "1", "-1"), []string{"aB-0", "aB-1"}, nil, true},
		"items":       {"POST", xledgerPath, `{"query":"query($ids:[String!]){glImportItems(filter:{extIdentifier_in:$ids}){edges{cursor}}}","variables":{"ids":["a","b"],"n":2}}`, nil, []string{"a", "b"}, false},
		"ping":        {"POST", xledgerPath, `{"query":"{__typename}"}`, nil, nil, false},
		"line":        {"POST", bcRoot + bcLines, `{"externalDocumentNumber":"ab"}`, []string{"ab"}, nil, true},
		"find lines":  {"GET", bcRoot + bcLines + filter("externalDocumentNumber eq 'a' or externalDocumentNumber eq 'b'"), "", nil, []string{"a", "b"}, false},
		"post":        {"POST", bcRoot + "companies(c)/journals(j)/Microsoft.NAV.post", "", nil, nil, true},
		"lines":       {"POST", bcRoot + "$batch", `{"requests":[` + bcPart("POST", bcLines, `{"externalDocumentNumber":"x"}`) + "," + bcPart("GET", bcLines+filter("documentNumber eq 'd'"), "null") + `]}`, []string{"x"}, []string{"d"}, true},
		"asks":        {"POST", bcRoot + "$batch", `{"requests":[` + bcPart("GET", bcLines+filter("documentNumber eq 'd'"), "null") + `]}`, nil, []string{"d"}, false},
		"upsert":      {"PATCH", dvRoot + "rows(k='it''s')", `{}`, []string{"it's"}, nil, true},
		"by GUID":     {"PATCH", dvRoot + "rows(0a0a0a0a-1b1b-4c2c-8d3d-4e4e4e4e4e4e)", `{}`, nil, nil, true},
		"one row":     {"GET", dvRoot + "rows(k='a')", "", nil, []string{"a"}, false},
		"some rows":   {"GET", dvRoot + "rows" + filter("k eq 'a'"), "", nil, []string{"a"}, false},
		"change set":  {"POST", dvRoot + "$batch", "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n" + dvPart("PATCH rows(k='k1')", "{}") + "--c\r\n" + dvPart("PATCH rows(k='k2')", "{}") + "--c--\r\n--b--\r\n", []string{"k1", "k2"}, nil, true},
		"asks for it": {"POST", dvRoot + "$batch", "--b\r\n" + dvPart("GET rows?$filter=k%20eq%20'k1'%20or%20k%20eq%20'k2'", "") + "--b--\r\n", nil, []string{"k1", "k2"}, false},
	} {
		auth := token
		if c.path == xledgerPath {
			auth = xledgerAuth
		}
		s.do(c.method, c.path, auth, c.body, "Content-Type", "multipart/mixed; boundary=b")
		last := s.Log()[len(s.Log())-1]
		require.Equal(t, c.keys, last.Keys, name)
		require.Equal(t, c.asked, last.LookupKeys, name)
		require.Equal(t, c.wrote, last.Wrote, name)
	}
	require.False(t, s.Log()[0].Wrote, "a token is no write")
}

// Whoever watches hears of a request before it is carried out, and of its
// answer before the client does, or although the client has gone.
func TestWatching(t *testing.T) {
	var s *sandbox.Sandbox
	var mu sync.Mutex
	var heard []string
	note := func(what string) func(sandbox.LogEntry) {
		return func(e sandbox.LogEntry) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, fmt.Sprintf("%s %d %v: %d, %d of it, %d in all", what, e.Seq, e.Keys, e.Status, e.Effects, len(s.Effects())))
		}
	}
	all := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return heard
	}
	c := newClock()
	s = sandbox.New(sandbox.Options{Now: c.now, Observe: note("came"), Answered: note("answered")})
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	w := server{s, t, h.URL}
	_, body := w.graphQL(items("1", "1", "-1"))
	require.NotContains(t, body, "errors")
	require.Equal(t, []string{"came 1 [1-0 1-1]: 0, 0 of it, 0 in all", "answered 1 [1-0 1-1]: 200, 2 of it, 2 in all"}, all())
	s.Script(sandbox.Rule{DelayMS: 1000})
	w.impatient(30*time.Millisecond, "POST", xledgerPath, xledgerAuth, items("2", "1", "-1"))
	require.Len(t, all(), 3)
	c.move(time.Second)
	require.Len(t, s.Effects(), 4)
	require.Eventually(t, func() bool { return len(all()) == 4 }, time.Second, time.Millisecond)
	require.Equal(t, "answered 2 [2-0 2-1]: 200, 2 of it, 4 in all", all()[3])
	require.True(t, strings.HasPrefix(all()[2], "came 2"))
}
