package sandbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// server is a sandbox and the means to talk to it by hand.
type server struct {
	*sandbox.Sandbox
	t   *testing.T
	url string
}

func start(t *testing.T) server { return startWith(t, sandbox.Options{}) }

func startWith(t *testing.T, o sandbox.Options) server {
	s := sandbox.New(o)
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return server{s, t, h.URL}
}

func (s server) do(method, path, authorization, body string, headers ...string) (int, string, http.Header) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	require.NoError(s.t, err)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return s.exchange(req)
}

func (s server) exchange(req *http.Request) (int, string, http.Header) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, "cut: " + string(text), resp.Header
	}
	return resp.StatusCode, string(text), resp.Header
}

func (s server) graphQL(query string) (int, string) {
	status, body, _ := s.do("POST", "/xledger/graphql", "token "+sandbox.DemoXledgerToken, query)
	return status, body
}

func (s server) token() string {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {sandbox.DemoClientID}, "client_secret": {sandbox.DemoClientSecret}, "scope": {"x/.default"}}
	status, body, _ := s.do("POST", "/entra/"+sandbox.DemoTenantID+"/oauth2/v2.0/token", "", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	require.Equal(s.t, 200, status, body)
	var answer struct {
		Token string `json:"access_token"`
	}
	require.NoError(s.t, json.Unmarshal([]byte(body), &answer))
	return "Bearer " + answer.Token
}

// items is a mutation of a voucher, whose lines are known by a key and a number.
func items(key string, amounts ...string) string {
	var nodes []string
	for i, a := range amounts {
		nodes = append(nodes, fmt.Sprintf(`{"clientId":"c%d","node":{"extIdentifier":"%s-%d","trRegNumber":"1","amount":%q,"account":{"code":"1920"}}}`, i, key, i, a))
	}
	return `{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{clientId node{dbId}}}}","variables":{"in":[` + strings.Join(nodes, ",") + `]}}`
}

func TestXledger(t *testing.T) {
	s := start(t)
	status, body, _ := s.do("POST", "/xledger/graphql", "Bearer "+sandbox.DemoXledgerToken, `{"query":"{__typename}"}`)
	require.Equal(t, 200, status)
	require.Contains(t, body, "Bad format for API Token")
	status, _, _ = s.do("POST", "/xledger/graphql", "token wrong", `{"query":"{__typename}"}`)
	require.Equal(t, 401, status)
	_, body = s.graphQL(`{"query":"{__typename}"}`)
	require.JSONEq(t, `{"data":{"__typename":"Query"}}`, body)
	status, body = s.graphQL(`{"query":"{ nonsense }"}`)
	require.Equal(t, 200, status, "validation errors come inside 200")
	require.Contains(t, body, "errors")

	_, body = s.graphQL(items("1", "10.00", "-9.99"))
	require.Contains(t, body, "errors", "a voucher that does not sum to zero is refused")
	require.Empty(t, s.Effects())
	_, body = s.graphQL(items("2", "10.00", "-10.00"))
	require.NotContains(t, body, "errors")
	require.Len(t, s.Effects(), 2)
	_, body = s.graphQL(`{"query":"query($ids:[String!]){glImportItems(filter:{extIdentifier_in:$ids}){edges{node{extIdentifier}}}}","variables":{"ids":["2-0","none"]}}`)
	require.Contains(t, body, "2-0")
	require.NotContains(t, body, "none")
}

func TestEntra(t *testing.T) {
	s := start(t)
	for change, want := range map[string]string{
		"grant_type=password": "unsupported_grant_type", "client_id=x": "unauthorized_client", "client_secret=x": "invalid_client", "scope=x": "invalid_scope",
	} {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {sandbox.DemoClientID}, "client_secret": {sandbox.DemoClientSecret}, "scope": {"x/.default"}}
		k, v, _ := strings.Cut(change, "=")
		form.Set(k, v)
		_, body, _ := s.do("POST", "/entra/"+sandbox.DemoTenantID+"/oauth2/v2.0/token", "", form.Encode())
		require.Contains(t, body, `"`+want+`"`)
	}
	token := s.token()
	status, _, _ := s.do("GET", "/dataverse/api/data/v9.2/WhoAmI", token, "")
	require.Equal(t, 200, status)
	s.RevokeTokens()
	status, _, _ = s.do("GET", "/dataverse/api/data/v9.2/WhoAmI", token, "")
	require.Equal(t, 401, status)
}

// An upsert on an alternate key, with the real meaning of the two headers.
func TestDataverse(t *testing.T) {
	s := start(t)
	token, path := s.token(), "/dataverse/api/data/v9.2/accounts(accountnumber='A')"
	patch := func(headers ...string) int {
		status, _, _ := s.do("PATCH", path, token, `{"name":"x"}`, headers...)
		return status
	}
	require.Equal(t, 404, patch("If-Match", "*"), "If-Match: * never creates")
	require.Equal(t, 204, patch())
	require.Equal(t, 204, patch(), "a repeat has no further effect")
	require.Equal(t, 412, patch("If-None-Match", "*"), "If-None-Match: * never updates")
	_, _, h := s.do("GET", path, token, "")
	require.Equal(t, 204, patch("If-Match", h.Get("ETag")))
	require.Equal(t, 412, patch("If-Match", h.Get("ETag")), "the version has moved on")
}

func TestBusinessCentral(t *testing.T) {
	s := start(t)
	token, root := s.token(), "/businesscentral/v2.0/sandbox/api/v2.0/companies(c)/journals"
	_, body, _ := s.do("POST", root, token, `{"code":"J"}`)
	var journal struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(body), &journal))
	lines := root + "(" + journal.ID + ")/journalLines"
	for range 2 {
		status, _, _ := s.do("POST", lines, token, `{"externalDocumentNumber":"D"}`)
		require.Equal(t, 201, status, "the same number twice is two lines: nothing protects against it")
	}
	_, body, _ = s.do("GET", lines+"?"+url.Values{"$filter": {"externalDocumentNumber eq 'D'"}}.Encode(), token, "")
	require.Equal(t, 2, strings.Count(body, `"externalDocumentNumber":"D"`))
	post := root + "(" + journal.ID + ")/Microsoft.NAV.post"
	status, _, _ := s.do("POST", post, token, "")
	require.Equal(t, 204, status)
	status, body, _ = s.do("POST", post, token, "")
	require.Equal(t, 400, status, "a second posting is not harmless")
	require.Contains(t, body, "CorrelationId")
}

func TestFaults(t *testing.T) {
	s := start(t)
	good := items("1", "1.00", "-1.00")
	for name, c := range map[string]struct {
		rule    string
		status  int
		effects int
	}{
		"status":              {`{"status":503,"headers":{"Retry-After":"7"},"body":"{}"}`, 503, 0},
		"drop before":         {`{"drop":"before-effect"}`, 0, 0},
		"drop after":          {`{"drop":"after-effect"}`, 0, 2},
		"reset before":        {`{"reset":"before-effect"}`, 0, 0},
		"reset after":         {`{"reset":"after-effect"}`, 0, 2},
		"truncated":           {`{"truncateAt":3}`, 200, 2},
		"delayed":             {`{"delayMs":10}`, 200, 2},
		"for another vendor":  {`{"match":{"vendor":"entra"},"status":500}`, 200, 2},
		"by operation":        {`{"match":{"operation":"addGLImportItems"},"status":500}`, 500, 0},
		"by body":             {`{"match":{"bodyContains":"extIdentifier"},"status":500}`, 500, 0},
		"many":                {`{"rules":[{"times":1,"status":500},{"status":501}]}`, 500, 0},
		"base64 body":         {`{"status":400,"bodyBase64":"/w=="}`, 400, 0},
		"a body of some size": {`{"status":200,"bodySize":100000}`, 200, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s.Reset()
			status, body, _ := s.do("POST", "/_script", "", c.rule)
			require.Equal(t, 204, status, body)
			got, _ := s.graphQL(good)
			require.Equal(t, c.status, got)
			require.Len(t, s.Effects(), c.effects)
			require.Len(t, s.Log(), 1)
		})
	}
	status, body, _ := s.do("POST", "/_script", "", `{"stauts":503}`)
	require.Equal(t, 400, status)
	require.Contains(t, body, "stauts")
}

func TestTimesAndAlternate(t *testing.T) {
	s := start(t)
	s.Script(sandbox.Rule{Times: 2, Status: 500}, sandbox.Rule{Alternate: true, Status: 502})
	var got []int
	for range 6 {
		status, _ := s.graphQL(`{"query":"{__typename}"}`)
		got = append(got, status)
	}
	require.Equal(t, []int{500, 500, 502, 200, 502, 200}, got)
}

// No credential is in what it keeps, and it counts right under load.
func TestLog(t *testing.T) {
	s := start(t)
	token := s.token()
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			s.do("POST", "/xledger/graphql", "token "+sandbox.DemoXledgerToken, items(fmt.Sprint(i), "1", "-1"), "X-Correlation-ID", "c")
			s.do("GET", "/dataverse/api/data/v9.2/WhoAmI", token, "", "x-ms-client-request-id", "c")
		})
	}
	wg.Wait()
	require.Len(t, s.Effects(), 80)
	attempts := make(map[int]bool)
	for _, e := range s.Log() {
		if e.Vendor == "xledger" {
			require.False(t, attempts[e.Attempt])
			attempts[e.Attempt] = true
		}
	}
	require.Len(t, attempts, 40)
	for _, path := range []string{"/_log", "/_effects", "/_log?correlation=c&vendor=xledger"} {
		status, body, _ := s.do("GET", path, "", "")
		require.Equal(t, 200, status)
		for _, secret := range []string{sandbox.DemoXledgerToken, sandbox.DemoClientSecret, strings.TrimPrefix(token, "Bearer ")} {
			require.False(t, bytes.Contains([]byte(body), []byte(secret)), path)
		}
	}
}
