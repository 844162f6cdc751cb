package codec_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/ledgerline/ledgerline/codec"
)

const uiOrigin = "https://temporal.example.com"

// ui serves a codec server on a real socket.
func ui(t *testing.T, k *codec.Keys) (address, token string) {
	t.Helper()
	token = uuid.NewString()
	s, err := codec.NewServer(codec.ServerOptions{Keys: k, Token: token, Origins: []string{uiOrigin, "http://localhost:8233"}})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return "http://" + l.Addr().String(), token
}

// ask sends a request as a browser would, with headers "Name: value".
func ask(t *testing.T, method, address string, body []byte, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
	require.NoError(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer, string(text)
}

func TestServer(t *testing.T) {
	secret := random()
	k := keys(t, "new", map[string][]byte{"old": random(), "new": secret})
	address, token := ui(t, k)
	plain := payload(t, "canary")
	list, err := k.Encode([]*common.Payload{plain})
	sealed := one(t, list, err)
	as := func(p ...*common.Payload) []byte {
		b, err := protojson.Marshal(&common.Payloads{Payloads: p})
		require.NoError(t, err)
		return b
	}
	tampered := proto.Clone(sealed).(*common.Payload)
	tampered.Data[20] ^= 1
	unknown := proto.Clone(sealed).(*common.Payload)
	unknown.Metadata[codec.MetadataKeyID] = []byte("gone")
	const json, origin = "Content-Type: application/json", "Origin: " + uiOrigin
	bearer := "Authorization: Bearer " + token
	basic := func(password string) string {
		r, _ := http.NewRequest(http.MethodGet, "http://x", nil)
		r.SetBasicAuth("anybody", password)
		return "Authorization: " + r.Header.Get("Authorization")
	}

	// The preflight has no credentials, and only the origins that are allowed get one.
	r, _ := ask(t, http.MethodOptions, address+"/decode", nil, origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,content-type,x-namespace")
	require.Equal(t, 204, r.StatusCode)
	require.Equal(t, []string{uiOrigin, "true", "POST", "Origin"},
		[]string{r.Header.Get("Access-Control-Allow-Origin"), r.Header.Get("Access-Control-Allow-Credentials"), r.Header.Get("Access-Control-Allow-Methods"), r.Header.Get("Vary")})
	require.Contains(t, r.Header.Get("Access-Control-Allow-Headers"), "Authorization, Content-Type, X-Namespace")

	for _, path := range []string{"/decode", "/default/decode"} {
		for _, login := range []string{bearer, basic(token)} {
			r, body := ask(t, http.MethodPost, address+path, as(sealed, plain), json+"; charset=utf-8", origin, login, "X-Namespace: default")
			require.Equal(t, 200, r.StatusCode, body)
			require.Equal(t, uiOrigin, r.Header.Get("Access-Control-Allow-Origin"))
			require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
			var got common.Payloads
			require.NoError(t, protojson.Unmarshal([]byte(body), &got))
			require.True(t, proto.Equal(&common.Payloads{Payloads: []*common.Payload{plain, plain}}, &got))
		}
	}
	r, _ = ask(t, http.MethodPost, address+"/decode", as(sealed), json, bearer) // the CLI is no browser
	require.Equal(t, 200, r.StatusCode)
	r, _ = ask(t, http.MethodGet, address+"/", nil, basic(token))
	require.Equal(t, 200, r.StatusCode)

	for name, c := range map[string]struct {
		method, path string
		body         []byte
		headers      []string
		status       int
		says         string
	}{
		"another origin":              {"POST", "/decode", as(sealed), []string{json, bearer, "Origin: https://evil.example.com"}, 403, "origin"},
		"another origin, preflight":   {"OPTIONS", "/decode", nil, []string{"Origin: https://evil.example.com"}, 403, "origin"},
		"an origin that begins alike": {"POST", "/decode", as(sealed), []string{json, bearer, "Origin: " + uiOrigin + ".evil.com"}, 403, "origin"},
		"an origin of another scheme": {"POST", "/decode", as(sealed), []string{json, bearer, "Origin: http://temporal.example.com"}, 403, "origin"},
		"null":                        {"POST", "/decode", as(sealed), []string{json, bearer, "Origin: null"}, 403, "origin"},
		"no token":                    {"POST", "/decode", as(sealed), []string{json, origin}, 401, "want the token"},
		"no token at the door":        {"GET", "/", nil, nil, 401, "want the token"},
		"an empty token":              {"POST", "/decode", as(sealed), []string{json, origin, "Authorization: Bearer "}, 401, "want the token"},
		"a wrong token":               {"POST", "/decode", as(sealed), []string{json, origin, bearer + "x"}, 401, "want the token"},
		"a part of the token":         {"POST", "/decode", as(sealed), []string{json, origin, bearer[:len(bearer)-1]}, 401, "want the token"},
		"a wrong password":            {"POST", "/decode", as(sealed), []string{json, origin, basic("x")}, 401, "want the token"},
		"a preflight without origin":  {"OPTIONS", "/decode", nil, nil, 401, "want the token"},
		"tampered":                    {"POST", "/decode", as(plain, tampered), []string{json, origin, bearer}, 400, "key new cannot be read"},
		"an unknown key":              {"POST", "/decode", as(unknown), []string{json, origin, bearer}, 400, `key "gone", which is not there`},
		"no JSON":                     {"POST", "/decode", []byte("canary"), []string{json, origin, bearer}, 400, "want JSON"},
		"a form":                      {"POST", "/decode", as(sealed), []string{"Content-Type: text/plain", origin, bearer}, 415, "want Content-Type"},
		"to encrypt":                  {"POST", "/encode", as(plain), []string{json, origin, bearer}, 404, "not found"},
		"GET":                         {"GET", "/decode", nil, []string{origin, bearer}, 405, "want POST"},
		"too large":                   {"POST", "/decode", bytes.Repeat([]byte(" "), 17<<20), []string{json, origin, bearer}, 413, "want at most"},
		"too many":                    {"POST", "/decode", []byte(`{"payloads":[{}` + strings.Repeat(",{}", 10_000) + `]}`), []string{json, origin, bearer}, 400, "at most 10000"},
	} {
		t.Run(name, func(t *testing.T) {
			r, body := ask(t, c.method, address+c.path, c.body, c.headers...)
			require.Equal(t, c.status, r.StatusCode, body)
			require.Contains(t, body, c.says)
			require.NotContains(t, body, "canary")
			require.NotContains(t, body, token)
			if c.status == 403 {
				require.Empty(t, r.Header.Get("Access-Control-Allow-Origin"))
			}
		})
	}
}

func TestServerOptions(t *testing.T) {
	good := codec.ServerOptions{Keys: keys(t, "a", map[string][]byte{"a": random()}), Token: uuid.NewString()}
	for says, change := range map[string]func(*codec.ServerOptions){
		"there is no key":    func(o *codec.ServerOptions) { o.Keys = nil },
		"the token has 31":   func(o *codec.ServerOptions) { o.Token = o.Token[:31] },
		`origin "*"`:         func(o *codec.ServerOptions) { o.Origins = []string{"*"} },
		"with a path":        func(o *codec.ServerOptions) { o.Origins = []string{uiOrigin + "/with a path"} },
		"https://*.example":  func(o *codec.ServerOptions) { o.Origins = []string{"https://*.example.com"} },
		"HTTPS://X":          func(o *codec.ServerOptions) { o.Origins = []string{"HTTPS://X"} },
		"temporal.example.c": func(o *codec.ServerOptions) { o.Origins = []string{"temporal.example.com"} },
		`origin "null"`:      func(o *codec.ServerOptions) { o.Origins = []string{"null"} },
		`example.com/"`:      func(o *codec.ServerOptions) { o.Origins = []string{uiOrigin + "/"} },
	} {
		o := good
		change(&o)
		_, err := codec.NewServer(o)
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), good.Token[:31])
	}
	_, err := codec.NewServer(good)
	require.NoError(t, err)
}
