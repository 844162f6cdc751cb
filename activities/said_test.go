package activities

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

// careless is a vendor made of sockets, with a token endpoint. It says what a test
// wants, byte by byte, and the test looks for secrets in all that is kept of it.
type careless struct {
	Store
	acts   *Activities
	spec   integrations.Integration
	env    *testsuite.TestActivityEnvironment
	in     Invocation
	secret string // the credential of the integration
	token  string // what the token endpoint gives for it
	kept   bytes.Buffer

	settled []classify.Effect // of writes

	mu        sync.Mutex
	say, sign []byte // the answer of the vendor, and of the token endpoint
}

// answer is a complete answer with a JSON body.
func answer(status int, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %d Whatever\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, len(body), body)
}

func newCareless(t *testing.T, adapter, secret, token string) *careless {
	t.Helper()
	if adapter == "xledger" { // its credential is what is sent
		token = secret
	}
	c := &careless{secret: secret, token: token}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { c.serve(conn) })
		}
	})
	organization, dir := uuid.New(), t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, organization.String()), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, organization.String(), "secret"), []byte(secret), 0o600))
	const ref = integrations.Ref("file:secret")
	base := "http://" + l.Addr().String()
	spec := integrations.Integration{
		OrganizationID: organization, ID: uuid.New(), Name: "x", Adapter: adapter, BaseURL: base + "/api",
		Settings: map[string]string{"tenantId": "t", "clientId": "c", "authority": base, "table": "rows", "prefix": "acme_",
			"companyId": uuid.NewString(), "journalId": uuid.NewString()},
		Credentials: map[string]integrations.Ref{"token": ref, "clientSecret": ref},
	}
	client := adapters.NewClient(adapters.ClientOptions{DevHosts: []string{l.Addr().String()}})
	t.Cleanup(func() {
		client.CloseIdle()
		l.Close()
		running.Wait()
	})
	c.spec = spec
	c.acts, err = New(Options{Store: c, Client: client, Secrets: &secrets.Store{Dir: dir}, Log: slog.New(slog.NewJSONHandler(&c.kept, nil))})
	require.NoError(t, err)
	c.in = Invocation{OrganizationID: spec.OrganizationID, IntegrationID: spec.ID, AdapterName: adapter, Policy: classify.DefaultPolicy()}
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	c.env = suite.NewTestActivityEnvironment()
	c.env.RegisterActivity(c.acts.Call)
	c.env.RegisterActivity(c.acts.Mirror)
	return c
}

func (c *careless) Integration(context.Context, uuid.UUID, uuid.UUID) (integrations.Integration, error) {
	return c.spec, nil
}

func (*careless) Pause(context.Context, uuid.UUID, uuid.UUID) (*runlog.Pause, error) { return nil, nil }

func (c *careless) InsertAttempts(_ context.Context, _ uuid.UUID, rows []runlog.AttemptRow) error {
	return json.NewEncoder(&c.kept).Encode(rows)
}

func (*careless) ClaimWrite(_ context.Context, w runlog.WriteClaim, _, _ time.Duration, _ bool) (runlog.WriteClaimResult, error) {
	return runlog.WriteClaimResult{MaySend: true, Attempt: w.Attempt}, nil
}

func (c *careless) SettleWrite(_ context.Context, _, _ uuid.UUID, _ int, effect classify.Effect, _ bool, _ int) error {
	c.settled = append(c.settled, effect)
	return nil
}

func (*careless) Control(context.Context, uuid.UUID, uuid.UUID, string) (*runlog.Control, error) {
	return nil, nil
}

func (c *careless) serve(conn net.Conn) {
	defer conn.Close()
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	c.mu.Lock()
	say := c.say
	if strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token") {
		say = c.sign
	}
	c.mu.Unlock()
	if say == nil { // no answer, for as long as anybody waits
		_, _ = io.Copy(io.Discard, conn)
	}
	_, _ = conn.Write(say)
}

func (c *careless) says(say, sign []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.say, c.sign = say, sign
}

// granted is the answer of the token endpoint.
func (c *careless) granted() []byte {
	return answer(200, `{"token_type":"Bearer","expires_in":3600,"access_token":"`+c.token+`"}`)
}

// conn is a connection to the vendor.
func (c *careless) conn(t *testing.T) *adapters.Conn {
	t.Helper()
	base, err := url.Parse(c.spec.BaseURL)
	require.NoError(t, err)
	return &adapters.Conn{Client: c.acts.options.Client, Adapter: c.spec.Adapter, BaseURL: base, Settings: c.spec.Settings, CorrelationID: uuid.NewString(),
		Credentials: map[string]string{"token": c.secret, "clientSecret": c.secret}}
}

// call makes an attempt that gets the answer say, or sign if it asks for a token, and returns all that is kept of it: result or error with its
// details, rows and log.
func (c *careless) call(t *testing.T, write bool, say, sign []byte) (kept string, result *CallResult, failed *temporal.ApplicationError) {
	t.Helper()
	c.says(say, sign)
	c.kept.Reset()
	c.acts.options.Adapters = Adapters() // without tokens from before
	in := c.in
	in.CorrelationID, in.Operation, in.ReadOnly = uuid.New(), adapters.Call, !write
	in.Body = json.RawMessage(`{"method":"GET","path":"rows"}`)
	switch {
	case in.AdapterName == "xledger" && write:
		in.Body = json.RawMessage(`{"query":"mutation{store{id}}"}`)
	case in.AdapterName == "xledger":
		in.Body = json.RawMessage(`{"query":"{rows{id}}"}`)
	case write:
		in.Body = json.RawMessage(`{"method":"POST","path":"rows","body":{}}`)
	}
	done := MirrorInput{OrganizationID: in.OrganizationID, IntegrationID: in.IntegrationID, CorrelationID: in.CorrelationID,
		AdapterName: in.AdapterName, Operation: in.Operation, RunStartedAt: time.Now()}
	v, err := c.env.ExecuteActivity(c.acts.Call, in)
	if err != nil {
		require.True(t, errors.As(err, &failed), "%v", err)
		require.NoError(t, failed.Details(&done.Trail))
		c.kept.WriteString(err.Error() + failed.Message())
	} else {
		require.NoError(t, v.Get(&result))
		encoded, err := json.Marshal(result)
		require.NoError(t, err)
		c.kept.Write(encoded)
		done.Trail = result.Trail
	}
	encoded, err := json.Marshal(done.Trail)
	require.NoError(t, err)
	c.kept.Write(encoded)
	_, err = c.env.ExecuteActivity(c.acts.Mirror, done)
	require.NoError(t, err)
	return c.kept.String(), result, failed
}

// leaks returns a part of a secret, eight characters long, that stands in a text.
func leaks(text string, secrets ...string) string {
	for _, s := range secrets {
		for i := 0; i+8 <= len(s); i++ {
			if strings.Contains(text, s[i:i+8]) {
				return s[i : i+8]
			}
		}
	}
	return ""
}

// quoted is a text as the inside of a JSON string.
func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b[1 : len(b)-1])
}

// places are where text can stand in an answer, each with an answer that has a text
// there. Those below the status line are of every vendor.
func places(dialect classify.Dialect) map[string]func(text string) []byte {
	head := func(format string) func(string) []byte {
		return func(s string) []byte { return fmt.Appendf(nil, format, s) }
	}
	body := func(status int, format string) func(string) []byte {
		return func(s string) []byte { return answer(status, fmt.Sprintf(format, quoted(s))) }
	}
	all := map[string]func(string) []byte{
		"reason":                  head("HTTP/1.1 400 %s\r\nContent-Length: 0\r\n\r\n"),
		"status line":             head("%s\r\n\r\n"),
		"status code":             head("HTTP/1.1 %s\r\n\r\n"),
		"header without a colon":  head("HTTP/1.1 200 OK\r\n%s\r\n\r\n"),
		"header name":             head("HTTP/1.1 400 No\r\n%s: x\r\nContent-Length: 0\r\n\r\n"),
		"transfer encoding":       head("HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n"),
		"content length":          head("HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n"),
		"chunk length":            head("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n"),
		"location":                head("HTTP/1.1 302 Found\r\nLocation: http://%s/\r\nContent-Length: 0\r\n\r\n"),
		"location that is none":   head("HTTP/1.1 302 Found\r\nLocation: http://a b/%%zz%s\r\nContent-Length: 0\r\n\r\n"),
		"www-authenticate":        head("HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer error_description=\"%s\"\r\nContent-Length: 0\r\n\r\n"),
		"retry-after":             head("HTTP/1.1 503 No\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n"),
		"x-ms-service-request-id": head("HTTP/1.1 429 No\r\nX-Ms-Service-Request-Id: %s\r\nX-Ms-Retry-After-Ms: x\r\nContent-Length: 0\r\n\r\n"),
		"odata-entityid":          head("HTTP/1.1 204 OK\r\nOData-EntityId: http://x/rows(%[1]s)\r\nLocation: %[1]s\r\n\r\n"),
		"content type":            head("HTTP/1.1 400 No\r\nContent-Type: multipart/mixed; boundary=%s\r\nContent-Length: 2\r\n\r\n{}"),
		"content encoding":        head("HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: 2\r\n\r\n{}"),
		"html":                    head("HTTP/1.1 502 No\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>%s</html>"),
		"text of a success":       head("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n%s"),
		"value of a success":      body(200, `{"data":{"a":{"b":["%s"]}}}`),
		"name of a success":       body(200, `{"data":{"a":{"%s":1}}}`),
		"name of nothing":         body(200, `{"data":{"%s":null}}`),
		"list where none is due":  body(200, `["%s"]`),
	}
	if dialect == classify.GraphQL {
		for _, status := range []int{200, 400} {
			for name, format := range map[string]string{
				"message": `{"errors":[{"message":"%s"}]}`, "code": `{"errors":[{"message":"no","code":"%s"}]}`,
				"code in extensions": `{"errors":[{"message":"no","extensions":{"code":"%s"}}]}`,
				"extensions":         `{"errors":[{"message":"no","path":["%[1]s"],"locations":["%[1]s"],"extensions":{"%[1]s":"%[1]s","resetAt":"%[1]s"}}]}`,
				"message and code":   `{"errors":[{"message":"%[1]s","code":"%[1]s"}]}`,
				"errors of text":     `{"errors":["%s"]}`, "errors that are a text": `{"errors":"%s"}`, "errors that are an object": `{"errors":{"%[1]s":"%[1]s"}}`,
				"throttling": `{"errors":[{"message":"%s","code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"}]}`,
				"skipped":    `{"data":{"store":{"skippedDbIds":["%s"]}}}`,
			} {
				all[fmt.Sprint(name, " at ", status)] = body(status, format)
			}
		}
		return all
	}
	for _, status := range []int{200, 400, 500} {
		for name, format := range map[string]string{
			"message": `{"error":{"code":"x","message":"%s"}}`, "code": `{"error":{"code":"%s","message":"no"}}`,
			"target":      `{"error":{"code":"x","message":"no","target":"%[1]s","details":[{"code":"%[1]s","message":"%[1]s","target":"%[1]s"}]}}`,
			"inner error": `{"error":{"code":"x","message":"no","innererror":{"message":"%[1]s","type":"%[1]s","stacktrace":"%[1]s"}}}`,
			"message v3":  `{"error":{"code":"x","message":{"lang":"en","value":"%s"}}}`, "an error that is a text": `{"error":"%s"}`,
			"Message": `{"Message":"%s"}`, "next link": `{"value":[],"@odata.nextLink":"%s"}`,
			"part": `{"responses":[{"id":"%[1]s","status":400,"headers":{"%[1]s":"%[1]s"},"body":{"error":{"code":"%[1]s","message":"%[1]s"}}}]}`,
		} {
			all[fmt.Sprint(name, " at ", status)] = body(status, format)
		}
	}
	return all
}

// tokenPlaces are where text can stand in an answer of a token endpoint.
func tokenPlaces() map[string]func(text string) []byte {
	all := make(map[string]func(string) []byte)
	for name, format := range map[string]string{
		"error": `{"error":"%s"}`, "description": `{"error":"invalid_client","error_description":"%s"}`,
		"more":  `{"error":"invalid_client","error_uri":"%[1]s","trace_id":"%[1]s","error_codes":["%[1]s"]}`,
		"token": `{"error":"invalid_client","access_token":"%s"}`, "a type that is none": `{"access_token":{"%s":1}}`, "no token": `{"message":"%s"}`,
	} {
		for _, status := range []int{200, 400, 401, 503} {
			all[fmt.Sprint("token endpoint: ", name, " at ", status)] = func(s string) []byte { return answer(status, fmt.Sprintf(format, quoted(s))) }
		}
	}
	all["token endpoint: reason"] = func(s string) []byte { return fmt.Appendf(nil, "HTTP/1.1 500 %s\r\n\r\n", s) }
	all["token endpoint: location"] = func(s string) []byte {
		return fmt.Appendf(nil, "HTTP/1.1 302 Found\r\nLocation: http://a b/%%zz%s\r\nContent-Length: 0\r\n\r\n", s)
	}
	return all
}

// paddings put a secret before, at and behind each border at which a text was ever
// cut, in bytes and in characters, plain and once what stands before is masked.
func paddings(secret string) map[string]string {
	all := map[string]string{
		"none": "", "325 of three bytes": strings.Repeat("€", 325), "a few of four bytes": strings.Repeat("𝄞", 246),
		"long e-mail addresses": strings.Repeat("somebody."+strings.Repeat("x", 50)+"@example.com ", 14),
	}
	for _, border := range []int{300, 500, 1000, 4 << 10, 64 << 10} {
		all[fmt.Sprint(border-13, " letters")] = strings.Repeat("x", border-14) + " "
	}
	for _, border := range []int{4 << 10, 64 << 10} { // what is masked is short, so what came late is seen
		all[fmt.Sprint("the secret, up to ", border)] = strings.Repeat("x", border%(len(secret)+1)) + strings.Repeat(" "+secret, border/(len(secret)+1)) + " "
	}
	return all
}

// The cross product of adapters, places, paddings and secrets: of no secret do eight
// characters stand in what is kept. Case 4 of the attacks is two of them.
func TestNoPartOfASecretIsKept(t *testing.T) {
	for _, adapter := range vendors.Names() {
		for _, length := range []int{26, 1150} {
			t.Run(fmt.Sprint(adapter, " ", length), func(t *testing.T) {
				t.Parallel()
				c := newCareless(t, adapter, random(length), random(length))
				v, _ := vendors.Lookup(adapter)
				n := 0
				try := func(place, padding string, write bool, say, sign []byte) {
					n++
					kept, _, _ := c.call(t, write, say, sign)
					require.NotEmpty(t, kept)
					if part := leaks(kept, c.secret, c.token); part != "" {
						t.Errorf("%s, behind %s: %q of a secret is kept", place, padding, part)
					}
				}
				before := paddings(c.secret)
				if length > 26 { // at the borders of bytes there is no difference, and it takes long
					maps.DeleteFunc(before, func(padding, _ string) bool { return strings.HasSuffix(padding, "letters") })
				}
				for i, padding := range slices.Sorted(maps.Keys(before)) {
					all := places(v.Codes.Dialect)
					for j, place := range slices.Sorted(maps.Keys(all)) {
						write := (i+j)%2 == 0 // each place has both
						try(place, padding, write, all[place](before[padding]+c.secret+" "+c.token+" and so on"), c.granted())
					}
					if adapter == "xledger" {
						continue
					}
					all = tokenPlaces()
					for j, place := range slices.Sorted(maps.Keys(all)) {
						try(place, padding, (i+j)%2 == 0, answer(200, `{}`), all[place](before[padding]+c.secret+" and so on"))
					}
				}
				require.Greater(t, n, 100)
			})
		}
	}
}

// random is a secret that no shape gives away.
func random(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(strings.ReplaceAll(uuid.NewString(), "-", "q"))
	}
	return b.String()[:n]
}
