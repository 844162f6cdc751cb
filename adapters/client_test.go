package adapters_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// vendor serves h and returns a client that may call it, and its address.
func vendor(t *testing.T, h http.HandlerFunc) (*adapters.Client, *url.URL) {
	t.Helper()
	s := httptest.NewServer(h)
	u, err := url.Parse(s.URL + "/graphql")
	require.NoError(t, err)
	c := adapters.NewClient(adapters.ClientOptions{DevHosts: []string{u.Host}})
	t.Cleanup(func() {
		c.CloseIdle()
		s.Close()
	})
	return c, u
}

func read(u *url.URL) adapters.Request {
	return adapters.Request{Adapter: "xledger", Hosts: xledger.Vendor.Hosts, Method: http.MethodPost, URL: u, Header: http.Header{}, Body: []byte("{}"), Op: classify.Read}
}

// answering is a resolver that gives every name one address.
func answering(ip net.IP) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			for {
				head := make([]byte, 2)
				if _, err := io.ReadFull(server, head); err != nil {
					return
				}
				raw := make([]byte, int(head[0])<<8|int(head[1]))
				if _, err := io.ReadFull(server, raw); err != nil {
					return
				}
				var m dnsmessage.Message
				if m.Unpack(raw) != nil {
					return
				}
				m.Response, m.Additionals = true, nil
				q := m.Questions[0]
				answer := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}}
				switch {
				case q.Type == dnsmessage.TypeA && len(ip) == net.IPv4len:
					answer.Body = &dnsmessage.AResource{A: [4]byte(ip)}
					m.Answers = []dnsmessage.Resource{answer}
				case q.Type == dnsmessage.TypeAAAA && len(ip) == net.IPv6len:
					answer.Body = &dnsmessage.AAAAResource{AAAA: [16]byte(ip)}
					m.Answers = []dnsmessage.Resource{answer}
				}
				packed, _ := m.Pack()
				if _, err := server.Write(append([]byte{byte(len(packed) >> 8), byte(len(packed))}, packed...)); err != nil {
					return
				}
			}
		}()
		return client, nil
	}}
}

func TestCheckURL(t *testing.T) {
	cases := []struct{ adapter, url, says string }{
		{"xledger", "https://www.xledger.net/graphql", ""},
		{"xledger", "https://www.xledger.net:443/graphql", ""},
		{"dataverse", "https://org.crm4.dynamics.com/api/data/v9.2/", ""},
		{"xledger", "http://www.xledger.net/graphql", "want https"},
		{"xledger", "ftp://www.xledger.net/", "scheme"},
		{"xledger", "https://www.xledger.net:8443/", "port"},
		{"xledger", "https://u:p@www.xledger.net/", "user or password"},
		{"xledger", "https://www.xledger.net/#x", "fragment"},
		{"xledger", "https://www.xledger.net.evil.example/", "not one that adapter"},
		{"xledger", "https://evilxledger.net/", "not one that adapter"},
		{"dataverse", "https://dynamics.com.evil.example/", "not one that adapter"},
		{"dataverse", "https://evildynamics.com/", "not one that adapter"},
		{"dataverse", "https://127.0.0.1/", "not one that adapter"},
		{"dataverse", "https://2130706433/", "not one that adapter"},
		{"dataverse", "https://0x7f.1/", "not one that adapter"},
		{"dataverse", "https://[::1]/", "not one that adapter"},
		{"nobody", "https://www.xledger.net/", "not one that adapter"},
	}
	for _, c := range cases {
		u, err := url.Parse(c.url)
		require.NoError(t, err)
		vendor, _ := vendors.Lookup(c.adapter)
		err = adapters.CheckURL(c.adapter, vendor.Hosts, u, nil)
		if c.says == "" {
			require.NoError(t, err, c.url)
		} else {
			require.ErrorContains(t, err, c.says, c.url)
		}
	}
}

// No proxy of the environment gets to see a vendor's credentials.
func TestProxyIsIgnored(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	c, u := vendor(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"value":1}`) })
	_, v := c.Do(t.Context(), read(u))
	require.Equal(t, classify.Success, v.Class, v.Message)
}

func TestSizeLimits(t *testing.T) {
	object := func(n int) string { return `{"data":"` + strings.Repeat("x", n-11) + `"}` }
	for _, op := range []classify.Op{classify.Read, classify.Write} {
		for _, n := range []int{adapters.MaxBody, adapters.MaxBody + 1, adapters.MaxAnswer - 1, adapters.MaxAnswer, adapters.MaxAnswer + 1} {
			t.Run(fmt.Sprintf("%s %d", op, n), func(t *testing.T) {
				c, u := vendor(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, object(n)) })
				r := read(u)
				r.Op = op
				a, v := c.Do(t.Context(), r)
				require.Equal(t, 200, v.HTTPStatus)
				switch {
				case n <= adapters.MaxAnswer:
					require.Equal(t, classify.Success, v.Class, v.Message)
					require.Len(t, a.Body, n, "an adapter can read all of it")
				case op == classify.Write:
					require.Equal(t, classify.IncompleteResponse, v.Kind)
					requireOpen(t, v)
				default:
					require.Equal(t, classify.PayloadTooLarge, v.Kind)
					require.Empty(t, v.Effect)
				}
			})
		}
	}
	t.Run("compressed", func(t *testing.T) { // 64 MB in 64 KB
		var bomb bytes.Buffer
		z := gzip.NewWriter(&bomb)
		for range 64 {
			_, _ = z.Write(make([]byte, 1<<20))
		}
		z.Close()
		c, u := vendor(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		})
		_, v := c.Do(t.Context(), read(u))
		require.Equal(t, classify.PayloadTooLarge, v.Kind)
	})
	t.Run("request", func(t *testing.T) {
		var asked atomic.Int64
		c, u := vendor(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
		r := read(u)
		r.Body = make([]byte, adapters.MaxRequest+1)
		_, v := c.Do(t.Context(), r)
		require.Equal(t, classify.PayloadTooLarge, v.Kind)
		require.Zero(t, asked.Load())
	})
	t.Run("error text", func(t *testing.T) { // a huge error keeps its status
		c, u := vendor(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			_, _ = w.Write(make([]byte, adapters.MaxAnswer+1<<20))
		})
		_, v := c.Do(t.Context(), read(u))
		require.Equal(t, classify.Unavailable, v.Kind)
	})
}

// A worker makes thousands of calls to one host; each must not cost a handshake.
func TestConnectionsAreReused(t *testing.T) {
	var connections atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader([]int{200, 503, 404}[len(r.URL.RawQuery)%3])
		io.WriteString(w, `{"value":[]}`)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	u, _ := url.Parse(s.URL)
	c := adapters.NewClient(adapters.ClientOptions{DevHosts: []string{u.Host}})
	defer c.CloseIdle()
	for i := range 30 {
		u.RawQuery = strings.Repeat("x", i)
		c.Do(t.Context(), read(u))
	}
	require.EqualValues(t, 1, connections.Load(), "failures must not cost the connection")
}

func TestJSON(t *testing.T) {
	require.Nil(t, adapters.JSON([]byte(" \n")))
	require.JSONEq(t, `{"a":1}`, string(adapters.JSON([]byte("\ufeff{\"a\":1}"))))
	require.JSONEq(t, `"plain"`, string(adapters.JSON([]byte("plain"))))
	require.JSONEq(t, `"a\ufffdb"`, string(adapters.JSON([]byte("a\xffb"))))
}

// The limit on what is passed on is one on the encoded form, and a success stays
// a success.
func TestAccepted(t *testing.T) {
	text := func(what string, encoded int) func(over int) string { // {"a":"…"}
		return func(over int) string {
			n := (adapters.MaxBody-8)/encoded - 1
			return `{"a":"` + strings.Repeat(what, n) + strings.Repeat("x", adapters.MaxBody-8-n*encoded+over) + `"}`
		}
	}
	plain := func(what string, encoded int) func(over int) string { // "…", and no JSON before
		return func(over int) string {
			n := (adapters.MaxBody-2)/encoded - 1
			return strings.Repeat(what, n) + strings.Repeat("x", adapters.MaxBody-2-n*encoded+over)
		}
	}
	for name, of := range map[string]func(over int) string{
		"JSON": text("x", 1), "JSON with <": text("<", 6), "JSON with &": text("&", 6), "JSON with U+2028": text("\u2028", 6),
		"JSON with escaped controls": text(`\u0001`, 6), "JSON with invalid UTF-8": text("y\xff", 4), "JSON with letters": text("å", 2),
		"text": plain("x", 1), "text with <": plain("<", 6), "text with controls": plain("\x01", 6), "text with quotes": plain(`"`, 2),
		"text with invalid UTF-8": plain("y\xff", 4),
	} {
		for _, over := range []int{-1, 0, 1} {
			body := []byte(of(over))
			got := adapters.ResponseOf(adapters.Answer{Status: 200, Body: body})
			passed, omitted := got.Body, got.Omitted
			if over > 0 {
				sum := sha256.Sum256(body)
				require.Nil(t, passed, name)
				require.Equal(t, &adapters.Omission{Bytes: len(body), SHA256: hex.EncodeToString(sum[:]), Reason: adapters.TooLarge}, omitted, name)
				require.Equal(t, 200, got.Status)
				continue
			}
			require.Nil(t, omitted, name)
			require.True(t, utf8.Valid(passed), name)
			encoded, err := json.Marshal(passed)
			require.NoError(t, err, name)
			require.Len(t, encoded, adapters.MaxBody+over, name)
		}
	}
	require.Equal(t, adapters.Response{Status: 204}, adapters.ResponseOf(adapters.Answer{Status: 204}))
}

func TestWeaker(t *testing.T) {
	order := []adapters.Guard{adapters.ReadOnly, adapters.Idempotent, adapters.Readback, adapters.Unsafe}
	for i, a := range order {
		for j, b := range order {
			require.Equal(t, order[max(i, j)], adapters.Weaker(a, b))
		}
	}
}
