package adapters_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
)

// insideHosts are ways to write an address that is not public, or a name that is not
// a vendor's.
var insideHosts = []string{
	"127.0.0.1", "127.1", "127.0.1", "0", "0.0.0.0", "2130706433", "017700000001", "0177.0.0.1", "0x7f000001", "0x7f.0.0.1", "0x7f.1", "127.0.0.1.",
	"10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "100.64.0.1", "100.100.100.200", "192.0.0.192",
	"[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]",
	"[fe80::1]", "[fe80::1%25eth0]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]",
	"localhost", "localhost.", "LOCALHOST", "metadata", "metadata.google.internal", "db.internal", "db.internal.", "printer.local", "kubernetes.default.svc",
	"１２７.0.0.1", "127。0。0。1", "①②⑦.0.0.1", "ⓛocalhost", "127.0.0.1.nip.io", "www.xledger.net.", "www.xledger.net.evil.example", "www.xledger.net@evil.example",
	"evil.example#www.xledger.net", "evil.example?www.xledger.net", `evil.example\www.xledger.net`, "wwwxledger.net", "xledger.net", "dynamics.com", ".dynamics.com",
	"evil.example%2ewww.xledger.net", "www.xledger.net%00.evil.example", "www.xlеdger.net", "",
}

// No form of an address leads anywhere but to the vendor's hosts, for any vendor, at
// any of the three places: when a file is applied, before a request, and at webhooks.
func TestForeignAddresses(t *testing.T) {
	dialled := guardsDial(t)
	for _, host := range insideHosts {
		for _, form := range []string{"https://%s/graphql", "https://%s:443/", "https://user:word@%s/", "//%s/", "http://%s/", "gopher://%s/", "file://%s/etc/passwd"} {
			u, err := url.Parse(fmt.Sprintf(form, host))
			if err != nil {
				continue // nor can a file be applied with it
			}
			for _, v := range vendors.All {
				require.Error(t, adapters.CheckURL(v.Name, v.Hosts, u, nil), "%s: %s", v.Name, u)
				for _, op := range []classify.Op{classify.Read, classify.Write, classify.Token} {
					r := read(u)
					r.Adapter, r.Hosts, r.Op = v.Name, v.Hosts, op
					_, verdict := dialled.client.Do(t.Context(), r)
					require.Equal(t, classify.InvalidRequest, verdict.Kind, u)
				}
			}
		}
	}
	require.Zero(t, dialled.names.Load(), "nobody was even asked for the address")
}

// Webhooks go to public names. What is none by its form is refused at once; what
// only looks like one is refused when its address is dialled.
func TestForeignWebhooks(t *testing.T) {
	for _, host := range insideHosts[:46] {
		u, err := url.Parse("https://" + host + "/")
		if err != nil {
			continue
		}
		if adapters.CheckPublicURL(u, nil) == nil {
			require.Contains(t, []string{"kubernetes.default.svc"}, host, "its form is that of a public name")
		}
	}
}

type dialGuard struct {
	client *adapters.Client
	names  atomic.Int64
}

// guardsDial is a client whose resolver counts what it is asked.
func guardsDial(t *testing.T) *dialGuard {
	g := &dialGuard{}
	g.client = adapters.NewClient(adapters.ClientOptions{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		g.names.Add(1)
		return nil, io.EOF
	}}})
	t.Cleanup(g.client.CloseIdle)
	return g
}

// insideAddresses are what a name may resolve to and must not be dialled.
var insideAddresses = []string{
	"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.0.1", "169.254.169.254", "172.16.0.1",
	"172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
	"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
	"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1",
	"2001:db8::1", "2002:7f00:1::1", "2002:a9fe:a9fe::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1",
}

// A name that is on the list and resolves to such an address is not called, for
// reads, for writes and for webhooks: the check stands where the connection is made,
// after every other one, so that a name that changes meanwhile gains nothing.
func TestDialledAddresses(t *testing.T) {
	for _, address := range insideAddresses {
		ip := netip.MustParseAddr(address)
		c := adapters.NewClient(adapters.ClientOptions{Resolver: answering(ip.AsSlice())})
		u, _ := url.Parse("https://www.xledger.net/graphql")
		for _, op := range []classify.Op{classify.Read, classify.Write} {
			r := read(u)
			r.Op = op
			_, v := c.Do(t.Context(), r)
			require.Equal(t, "dial:address", v.Rule, "%s %s: %+v", op, address, v)
			require.Equal(t, classify.InvalidRequest, v.Kind)
			require.NotContains(t, v.Message, address)
			if op == classify.Write {
				requireNone(t, v)
			}
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://hooks.example.com/", nil)
		require.NoError(t, err)
		resp, err := adapters.Guarded(adapters.ClientOptions{Resolver: answering(ip.AsSlice())}).Do(request)
		if err == nil {
			resp.Body.Close()
		}
		require.True(t, adapters.Prohibited(err), "%s: %v", address, err)
	}
	require.Greater(t, len(insideAddresses), 40)
}

// readRequest reads a request with its body: what came before it would be no answer.
func readRequest(c net.Conn) {
	if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

// endless writes until the client has had enough.
func endless(head string, chunk []byte, between time.Duration) handler {
	return func(_ int64, below *net.TCPConn, c net.Conn) {
		readRequest(c)
		if _, err := io.WriteString(c, head); err != nil {
			return
		}
		for range (1 << 30) / len(chunk) {
			if _, err := c.Write(chunk); err != nil {
				return
			}
			time.Sleep(between)
		}
	}
}

// bomb is 1 GB that is sent as 1 MB.
func bomb(t *testing.T) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for range 1 << 10 {
		_, err := z.Write(zeros)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.Bytes()
}

// Whatever a vendor sends, an attempt ends by its deadline and keeps no more than
// its limits: for reads and for writes, of which it then knows nothing.
func TestHostileAnswers(t *testing.T) {
	zipped := bomb(t)
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	for name, serve := range map[string]handler{
		"1 GB":                                    endless(ok+"Content-Length: 1073741824\r\n\r\n", make([]byte, 64<<10), 0),
		"1 GB in chunks":                          endless(ok+"Transfer-Encoding: chunked\r\n\r\n", []byte("8000\r\n"+strings.Repeat("x", 0x8000)+"\r\n"), 0),
		"a body without end":                      endless(ok+"\r\n", make([]byte, 64<<10), 0),
		"an error without end":                    endless("HTTP/1.1 500 No\r\n\r\n", make([]byte, 64<<10), 0),
		"a drip":                                  endless(ok+"Content-Length: 1073741824\r\n\r\n", []byte("x"), 5*time.Millisecond),
		"a drip of a header":                      endless(ok+"X: ", []byte("x"), 5*time.Millisecond),
		"a drip of a chunk's length":              endless(ok+"Transfer-Encoding: chunked\r\n\r\n", []byte("0"), 5*time.Millisecond),
		"headers without end":                     endless(ok, []byte("X: "+strings.Repeat("y", 1000)+"\r\n"), 0),
		"a header without end":                    endless(ok+"X: ", make([]byte, 64<<10), 0),
		"a status without end":                    endless("HTTP/1.1 200 ", bytes.Repeat([]byte("x"), 64<<10), 0),
		"interim answers":                         endless("", []byte("HTTP/1.1 103 Early Hints\r\n\r\n"), 0),
		"trailers without end":                    endless(ok+"Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\n{}\r\n0\r\n", []byte("X: "+strings.Repeat("y", 1000)+"\r\n"), 0),
		"chunks of one byte with long extensions": endless(ok+"Transfer-Encoding: chunked\r\n\r\n", []byte("1;"+strings.Repeat("y", 3000)+"\r\n{\r\n"), 0),
		"gzip bomb": func(_ int64, _ *net.TCPConn, c net.Conn) {
			readRequest(c)
			fmt.Fprintf(c, "%sContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", ok, len(zipped))
			_, _ = c.Write(zipped)
		},
	} {
		for _, op := range []classify.Op{classify.Read, classify.Write} {
			t.Run(fmt.Sprint(op, " ", name), func(t *testing.T) {
				p := listen(t, "http", nil, serve)
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				defer cancel()
				r := p.write(http.MethodPost, "{}")
				r.Op = op
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				a, v := p.client.Do(ctx, r)
				runtime.ReadMemStats(&after)
				require.NotEqual(t, classify.Success, v.Class)
				require.LessOrEqual(t, len(a.Body), adapters.MaxAnswer)
				require.Less(t, len(v.Message), 20_000)
				require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20), "of 1 GB")
				if op == classify.Write && v.HTTPStatus != http.StatusInternalServerError {
					requireOpen(t, v)
				}
			})
		}
	}
}

// A redirect is an answer, whatever asked and wherever it leads.
func TestNoRedirectIsFollowed(t *testing.T) {
	var asked atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer other.Close()
	for _, status := range []int{300, 301, 302, 303, 305, 306, 307, 308} {
		for _, to := range []string{other.URL, strings.TrimPrefix(other.URL, "http:"), "/graphql", "https://169.254.169.254/", "file:///etc/passwd", "http://%zz", ""} {
			for _, op := range []classify.Op{classify.Read, classify.Write, classify.Token} {
				own := 0
				c, u := vendor(t, func(w http.ResponseWriter, _ *http.Request) {
					own++
					w.Header()["Location"] = []string{to}
					w.Header()["Refresh"] = []string{"0; url=" + to}
					w.WriteHeader(status)
				})
				r := read(u)
				r.Op = op
				_, v := c.Do(t.Context(), r)
				require.NotEqual(t, classify.Success, v.Class)
				require.False(t, v.Retry(), "%d to %q", status, to)
				require.Equal(t, 1, own)
			}
		}
	}
	require.Zero(t, asked.Load())
}

// What a vendor's TLS must have: an authority that is known, its name, its time, and
// version 1.2. Nothing of a request leaves before.
func TestTLSThatIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		config  *tls.Config
		trusted bool
	}{
		"self-signed": {&tls.Config{}, false},
		"TLS 1.0":     {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, true},
		"TLS 1.1":     {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, true},
	} {
		for _, op := range []classify.Op{classify.Read, classify.Write} {
			t.Run(fmt.Sprint(op, " ", name), func(t *testing.T) {
				var arrived atomic.Int64
				p := listen(t, "https", c.config, func(_ int64, _ *net.TCPConn, conn net.Conn) {
					n, _ := io.Copy(io.Discard, conn)
					arrived.Add(n)
				})
				client := p.client
				if !c.trusted {
					client = adapters.NewClient(adapters.ClientOptions{DevHosts: []string{p.url.Host}})
					defer client.CloseIdle()
				}
				r := p.write(http.MethodPost, `{"query":"{a}"}`)
				r.Op = op
				_, v := client.Do(t.Context(), r)
				require.Equal(t, classify.TLS, v.Kind, v.Message)
				require.Equal(t, classify.Permanent, v.Class)
				if op == classify.Write {
					requireNone(t, v)
				}
				p.stop()
				require.Zero(t, arrived.Load())
			})
		}
	}
}
