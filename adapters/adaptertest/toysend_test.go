package adaptertest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/limits"
)

// login fetches a token for one request.
func (a toy) login(ctx context.Context, c *adapters.Conn) (string, classify.Verdict) {
	password, missing := c.Credential("password")
	if missing != nil {
		return "", *missing
	}
	defer c.For(limits.Token)()
	u := *c.BaseURL
	u.Path = "/login"
	body, _ := json.Marshal(map[string]string{"password": password})
	answer, v := a.exchange(ctx, c, adapters.Request{Method: http.MethodPost, URL: &u, Header: http.Header{}, Body: body, Op: classify.Read})
	if v.Class != classify.Success {
		return "", v
	}
	var got struct{ Token string }
	if json.Unmarshal(answer.Body, &got) != nil || got.Token == "" {
		return "", classify.NewVerdict(classify.InvalidResponse, "login", "the answer has no token")
	}
	if a.mistake != "does not note its token" {
		c.AddSecret(got.Token)
	}
	return got.Token, v
}

func (a toy) send(ctx context.Context, c *adapters.Conn, op classify.Op, method, at string, body []byte) (adapters.Answer, classify.Verdict) {
	token, v := a.login(ctx, c)
	if v.Class != classify.Success {
		if op == classify.Write {
			v = v.WithEffect(classify.None, false)
			if v.HTTPStatus > 0 && a.mistake == "says open where it got no token" {
				v = v.WithEffect(classify.Open, false)
			}
		}
		return adapters.Answer{}, v
	}
	u := *c.BaseURL
	u.Path = path.Join("/", u.Path, at)
	r := adapters.Request{Method: method, URL: &u, Body: body, Op: op, Header: http.Header{"Authorization": {"Toy " + token}, "X-Correlation-Id": {c.CorrelationID}}}
	answer, v := a.exchange(ctx, c, r)
	if to := answer.Header.Get("Location"); to != "" && a.mistake == "follows redirects" {
		if next, err := url.Parse(to); err == nil {
			r.URL = next
			return a.exchange(ctx, c, r)
		}
	}
	return answer, v
}

func (a toy) exchange(ctx context.Context, c *adapters.Conn, r adapters.Request) (adapters.Answer, classify.Verdict) {
	r.Adapter, r.Hosts, r.Codes, r.Sent = "toy", toyDescriptor.Hosts, a.Vendor().Codes, c.Counter()
	if a.mistake == "forgets to count" && r.Op == classify.Write {
		r.Sent = nil
	}
	if a.mistake == "has a client of its own" && r.Op == classify.Read && strings.HasSuffix(r.URL.Path, "/status") {
		return ownClient(ctx, r)
	}
	return c.Client.Do(ctx, r)
}

// ownClient is what somebody might write who does not know [adapters.Client].
func ownClient(ctx context.Context, r adapters.Request) (adapters.Answer, classify.Verdict) {
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL.String(), bytes.NewReader(r.Body))
	if err != nil {
		return adapters.Answer{}, classify.Err(err)
	}
	req.Header = r.Header
	resp, err := client.Do(req)
	if !errors.Is(err, syscall.ECONNREFUSED) && ctx.Err() == nil && r.Sent != nil {
		r.Sent()
	}
	var body []byte
	if err == nil {
		defer resp.Body.Close()
		body, err = io.ReadAll(resp.Body)
	}
	if err != nil {
		return adapters.Answer{}, classify.Err(err).WithEffect("", false)
	}
	a := adapters.Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}
	return a, classify.Response(classify.HTTPResponse{Op: r.Op, Status: a.Status, Header: a.Header, Body: a.Body, Received: time.Now()}, r.Codes)
}
