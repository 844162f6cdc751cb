package sandbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// clock is one that stands still until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 2, 6, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// ticking is a server with a clock, and what that showed at first.
func ticking(t *testing.T, o sandbox.Options) (server, *clock, time.Time) {
	c := newClock()
	o.Now = c.now
	return startWith(t, o), c, c.now()
}

// impatient sends a request and leaves a while after it has arrived.
func (s server) impatient(patience time.Duration, method, path, authorization, body string) (int, string) {
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	before := len(s.Log())
	go func() {
		for len(s.Log()) == before && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(patience)
		cancel()
	}()
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	require.NoError(s.t, err)
	req.Header.Set("Authorization", authorization)
	status, text, _ := s.exchange(req)
	return status, text
}

var xledgerAuth = "token " + sandbox.DemoXledgerToken

const (
	xledgerPath = "/xledger/graphql"
	bcRoot      = "/businesscentral/v2.0/sandbox/api/v2.0/"
	bcLines     = "companies(" + sandbox.DemoCompanyID + ")/journals(" + sandbox.DemoJournalID + ")/journalLines"
	dvRoot      = "/dataverse/api/data/v9.2/"
)

// Everything is dated by the clock that was given, and tokens end by it.
func TestClock(t *testing.T) {
	s, c, began := ticking(t, sandbox.Options{})
	token := s.token()
	c.move(59 * time.Minute)
	status, _, _ := s.do("PATCH", dvRoot+"rows(k='a')", token, `{"x":1}`)
	require.Equal(t, 204, status)
	require.Equal(t, began.Add(59*time.Minute), s.Effects()[0].At)
	last := s.Log()[1]
	require.Equal(t, began.Add(59*time.Minute), last.At)
	require.Equal(t, last.At, last.Done)
	require.Equal(t, last.At, last.Ended)
	c.move(time.Minute)
	status, _, _ = s.do("PATCH", dvRoot+"rows(k='b')", token, `{"x":1}`)
	require.Equal(t, 401, status, "a token lives for an hour")

	_, body := s.graphQL(strings.ReplaceAll(items("1", "1.00", "-1.00"), "1920", "L920"))
	require.NotContains(t, body, "errors")
	_, body = s.graphQL(`{"query":"{glImportItemErrors{edges{node{createdAt}}}}"}`)
	require.Contains(t, body, `"createdAt":"2026-11-02T08:00:00"`, "in CET")
}

// A request whose client has gone is carried out when its time has come.
func TestActsForNobody(t *testing.T) {
	s, c, began := ticking(t, sandbox.Options{})
	token := s.token()
	s.Script(sandbox.Rule{DelayMS: 4000})
	for _, send := range []func() (int, string){
		func() (int, string) {
			return s.impatient(30*time.Millisecond, "POST", xledgerPath, xledgerAuth, items("1", "1", "-1"))
		},
		func() (int, string) {
			return s.impatient(30*time.Millisecond, "POST", bcRoot+bcLines, token, `{"externalDocumentNumber":"2-0"}`)
		},
		func() (int, string) {
			return s.impatient(30*time.Millisecond, "PATCH", dvRoot+"rows(k='3-0')", token, `{"x":1}`)
		},
	} {
		status, _ := send()
		require.Zero(t, status)
	}
	c.move(3999 * time.Millisecond)
	require.Empty(t, s.Effects())
	require.Zero(t, s.Log()[1].Ended)
	require.Equal(t, began.Add(4*time.Second), s.NextDue())
	c.move(time.Hour)
	require.Len(t, s.Effects(), 4)
	for _, e := range s.Effects() {
		require.Equal(t, began.Add(4*time.Second), e.At, "dated when it was due, whenever somebody looks")
	}
	require.Equal(t, began.Add(4*time.Second), s.Log()[1].Ended)
	require.Equal(t, 2, s.Log()[1].Effects)
	require.Zero(t, s.NextDue())
}

// The same by the machine's own clock.
func TestActsForNobodyInTime(t *testing.T) {
	s := start(t)
	s.Script(sandbox.Rule{DelayMS: 60, Times: 1})
	status, _ := s.impatient(10*time.Millisecond, "POST", xledgerPath, xledgerAuth, items("1", "1", "-1"))
	require.Zero(t, status)
	require.Empty(t, s.Effects())
	require.Eventually(t, func() bool { return len(s.Effects()) == 2 }, time.Second, 5*time.Millisecond)
	s.Script(sandbox.Rule{DelayMS: 30})
	began := time.Now()
	_, body := s.graphQL(items("2", "1", "-1"))
	require.Contains(t, body, `"dbId":"3"`)
	require.GreaterOrEqual(t, time.Since(began), 30*time.Millisecond)
}

// The effect comes later than the answer, whatever that is, and none the less.
func TestEffectDelay(t *testing.T) {
	for name, r := range map[string]struct {
		rule   sandbox.Rule
		status int
		says   string
	}{
		"success":        {sandbox.Rule{}, 200, `"dbId":"1"`},
		"gateway":        {sandbox.Rule{Status: 504, Body: "<html>"}, 504, "<html>"},
		"dropped":        {sandbox.Rule{Drop: sandbox.AfterEffect}, 0, ""},
		"reset":          {sandbox.Rule{Reset: sandbox.AfterEffect}, 0, ""},
		"hangs":          {sandbox.Rule{Hang: true}, 0, ""},
		"cut in headers": {sandbox.Rule{CutHeaders: 20}, 0, ""},
		"cut in body":    {sandbox.Rule{TruncateAt: 5}, 200, `cut: {"dat`},
		"data null":      {sandbox.Rule{Rewrite: func([]byte) []byte { return []byte(`{"data":null}`) }}, 200, `{"data":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			s, c, began := ticking(t, sandbox.Options{})
			r.rule.EffectDelayMS, r.rule.Times = 17*60*1000, 1
			s.Script(r.rule)
			patience := 10 * time.Second
			if r.rule.Hang {
				patience = 20 * time.Millisecond
			}
			status, body := s.impatient(patience, "POST", xledgerPath, xledgerAuth, items("1", "1", "-1"))
			require.Equal(t, r.status, status, body)
			require.Contains(t, body, r.says)
			require.Empty(t, s.Effects())
			require.Empty(t, s.Records("1-0"))
			require.Zero(t, s.Log()[0].Effects)
			c.move(16 * time.Minute)
			_, body = s.graphQL(items("2", "1", "-1"))
			require.NotContains(t, body, "errors")
			require.Len(t, s.Effects(), 2)
			s.Settle(began.Add(17 * time.Minute))
			require.Len(t, s.Effects(), 4)
			require.Equal(t, began.Add(17*time.Minute), s.Effects()[3].At)
			require.Len(t, s.Records("1-0"), 1)
			require.Equal(t, 2, s.Log()[0].Effects)
			if name == "success" {
				require.Equal(t, "1", s.Records("1-0")[0].Reference, "as the answer called it")
			}
		})
	}
	s, _, began := ticking(t, sandbox.Options{})
	s.Script(sandbox.Rule{Drop: sandbox.BeforeEffect, EffectDelayMS: 1})
	s.graphQL(items("1", "1", "-1"))
	s.Settle(began.Add(time.Hour))
	require.Empty(t, s.Effects())
}

// Effects that are late come in the order in which they are due.
func TestOrderOfTime(t *testing.T) {
	s, c, _ := ticking(t, sandbox.Options{})
	token := s.token()
	for i, ms := range []int{3000, 1000, 2000} {
		s.Script(sandbox.Rule{Times: 1, EffectDelayMS: ms, Drop: sandbox.AfterEffect, Match: sandbox.Match{BodyContains: fmt.Sprintf(`"n%d"`, i)}})
		s.do("POST", bcRoot+bcLines, token, fmt.Sprintf(`{"externalDocumentNumber":"n%d"}`, i))
	}
	c.move(2 * time.Second)
	require.Len(t, s.Effects(), 2)
	c.move(2 * time.Second)
	var keys []string
	for _, e := range s.Effects() {
		keys = append(keys, e.Key)
	}
	require.Equal(t, []string{"n1", "n2", "n0"}, keys)
	s.Script(sandbox.Rule{EffectDelayMS: 1000})
	_, body, _ := s.do("POST", bcRoot+bcLines, token, `{"externalDocumentNumber":"n4"}`)
	var line struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(body), &line))
	c.move(time.Second)
	require.Equal(t, line.ID, s.Records("n4")[0].Reference)

	s.do("POST", bcRoot+bcLines, token, `{"externalDocumentNumber":"n5"}`)
	s.Reset()
	c.move(time.Hour)
	require.Empty(t, s.Effects(), "a reset forgets what was under way")
}

// A reset lets nobody wait for an answer that does not come.
func TestResetWhileWaiting(t *testing.T) {
	s, _, _ := ticking(t, sandbox.Options{})
	s.Script(sandbox.Rule{DelayMS: 1000})
	done := make(chan string)
	go func() {
		_, body := s.graphQL(items("1", "1", "-1"))
		done <- body
	}()
	require.Eventually(t, func() bool { return len(s.Log()) == 1 }, time.Second, time.Millisecond)
	s.Reset()
	require.Contains(t, <-done, "EOF")
}

// What it does and what it says are two things.
func TestLies(t *testing.T) {
	s := start(t)
	s.Script(sandbox.Rule{Times: 1, Act: true, Status: 200, Body: `{"errors":[{"message":"no"}]}`})
	_, body := s.graphQL(items("1", "1", "-1"))
	require.JSONEq(t, `{"errors":[{"message":"no"}]}`, body)
	require.Len(t, s.Records("1-0"), 1)
	require.Equal(t, 2, s.Log()[0].Effects)

	s.Script(sandbox.Rule{Times: 1, Act: true, Hang: true})
	status, _ := s.impatient(30*time.Millisecond, "POST", xledgerPath, xledgerAuth, items("2", "1", "-1"))
	require.Zero(t, status)
	require.Len(t, s.Records("2-0"), 1)

	s.Script(sandbox.Rule{Times: 1, Rewrite: func(b []byte) []byte { return append(b[:len(b)-1], `,"errors":[{"message":"and yet"}]}`...) }})
	_, body = s.graphQL(items("3", "1", "-1"))
	require.Contains(t, body, `"data"`)
	require.Contains(t, body, "and yet")

	token := s.token()
	s.Script(sandbox.Rule{Times: 1, Act: true, Status: 500, Headers: map[string]string{"Content-Type": "text/plain"}, Body: "oops"})
	status, body, h := s.do("PATCH", dvRoot+"rows(k='a')", token, `{"x":1}`)
	require.Equal(t, 500, status)
	require.Equal(t, "oops", body)
	require.Equal(t, "text/plain", h.Get("Content-Type"))
	require.Empty(t, h.Get("OData-Version"), "somebody else answers")
	require.Equal(t, []string{"upsert"}, s.kinds("a"))
}

// The first parts take effect, and the others do not.
func TestActFirst(t *testing.T) {
	s := start(t)
	token := s.token()
	var parts []string
	for i := range 3 {
		parts = append(parts, fmt.Sprintf(`{"id":"%d","method":"POST","url":%q,"body":{"externalDocumentNumber":"p%d"}}`, i, bcLines, i))
	}
	batch := `{"requests":[` + strings.Join(parts, ",") + `]}`
	s.Script(sandbox.Rule{ActFirst: 2})
	for _, isolation := range []string{"", "snapshot"} {
		_, body, _ := s.do("POST", bcRoot+"$batch", token, batch, "Isolation", isolation)
		require.Equal(t, 2, strings.Count(body, `"status":201`))
		require.Contains(t, body, `"status":500`)
		require.Len(t, s.Records("p0"), 1)
		require.Len(t, s.Records("p1"), 1)
		require.Empty(t, s.Records("p2"))
		s.Forget("p0")
		s.Forget("p1")
	}
	part := func(key string) string {
		return "--b\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\nPATCH rows(k='" + key + "') HTTP/1.1\r\n\r\n{\"x\":1}\r\n"
	}
	status, body, _ := s.do("POST", dvRoot+"$batch", token, part("q0")+part("q1")+part("q2")+"--b--\r\n", "Content-Type", "multipart/mixed; boundary=b")
	require.Equal(t, 500, status, body)
	require.Equal(t, 2, strings.Count(body, "204 No Content"))
	require.Len(t, s.Records("q1"), 1)
	require.Empty(t, s.Records("q2"))
}

// A connection that is cut within the headers, as it looks on the wire.
func TestCutHeaders(t *testing.T) {
	s := start(t)
	for _, n := range []int{12, 30, 10000} {
		s.Script(sandbox.Rule{Times: 1, CutHeaders: n})
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		require.NoError(t, err)
		body := items(fmt.Sprint(n), "1", "-1")
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s", xledgerPath, xledgerAuth, len(body), body)
		var got strings.Builder
		buffer := make([]byte, 4096)
		for {
			k, err := conn.Read(buffer)
			got.Write(buffer[:k])
			if err != nil {
				break
			}
		}
		conn.Close()
		require.True(t, strings.HasPrefix(got.String(), "HTTP/1.1 200"))
		require.NotContains(t, got.String(), "\r\n\r\n")
		require.LessOrEqual(t, got.Len(), n)
		require.Len(t, s.Records(fmt.Sprint(n)+"-0"), 1, "it has acted")
	}
}
