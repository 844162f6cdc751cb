package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/console/signin"
)

var eksempel = uuid.MustParse("7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10")

// seen keeps the tokens that the console gets.
type seen struct {
	http.RoundTripper
	answer atomic.Pointer[string]
}

func (s *seen) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/token") {
		return resp, err
	}
	b, err := io.ReadAll(resp.Body)
	text := string(b)
	s.answer.Store(&text)
	resp.Body = io.NopCloser(strings.NewReader(text))
	return resp, err
}

// console starts an issuer and a console that signs in at it.
func console(t *testing.T) (*httptest.Server, *seen) {
	t.Helper()
	mux := http.NewServeMux()
	web := httptest.NewTLSServer(mux)
	t.Cleanup(web.Close)
	public, err := url.Parse(web.URL)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	issuer, err := serve(t.Context(), l, "console", "hemmelig ~%+/ æ", web.URL+signin.CallbackPath, []person{
		{"kari", "Kari Nordmann", []string{"finance", "others"}}, {"ola", "Ola Hansen", nil}})
	require.NoError(t, err)
	access, err := signin.ParseAccess("access.yaml", []byte("groups: [{group: finance, role: finance, organizations: [eksempel]}]"))
	require.NoError(t, err)
	tokens := &seen{RoundTripper: http.DefaultTransport}
	s, err := signin.New(t.Context(), signin.Options{Issuer: issuer, ClientID: "console", ClientSecret: "hemmelig ~%+/ æ", PublicURL: public, Audience: "console", Access: access,
		Sessions: signin.InMemory(time.Now), Client: &http.Client{Transport: tokens},
		Find: func(context.Context, string) (uuid.UUID, error) { return eksempel, nil },
		Fail: func(w http.ResponseWriter, _ *http.Request, err *signin.Error) {
			http.Error(w, fmt.Sprintf("%s: %s (%v)", err.Reason, err.Text, err.Cause), err.Status())
		}})
	require.NoError(t, err)
	require.NoError(t, s.Check(t.Context()))
	require.Equal(t, issuer+"/end_session", s.IssuerSignOut())
	mux.HandleFunc(signin.BeginPath, s.Begin)
	mux.HandleFunc(signin.CallbackPath, s.Callback)
	mux.HandleFunc(signin.SignOutPath, s.SignOut)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		who, err := s.Who(r)
		if err != nil {
			http.Error(w, err.Error(), err.(*signin.Error).Status())
			return
		}
		role, _ := who.Role(eksempel)
		fmt.Fprintf(w, "%s %s %s %s", r.URL.Path, who.Subject, who.Actor(), role)
	})
	return web, tokens
}

func browser(t *testing.T, web *httptest.Server) *http.Client {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	c := *web.Client()
	c.Jar = jar
	return &c
}

func read(t *testing.T, resp *http.Response, err error) (int, string) {
	t.Helper()
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, strings.TrimSpace(string(b))
}

// signIn goes the whole way: to the issuer, through its form, and back.
func signIn(t *testing.T, c *http.Client, web *httptest.Server, name string) (int, string) {
	t.Helper()
	resp, err := c.Get(web.URL + signin.BeginPath + "?return=/o/eksempel")
	require.NoError(t, err)
	at := resp.Request.URL
	_, page := read(t, resp, nil)
	id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(page)
	require.NotNil(t, id, page)
	resp, err = c.PostForm(at.ResolveReference(&url.URL{Path: "/login"}).String(), url.Values{"id": {id[1]}, "user": {name}, "password": {name}})
	return read(t, resp, err)
}

// People sign in at an issuer that shares no code with the console, and sign out.
func TestSignInAtAnotherImplementation(t *testing.T) {
	web, tokens := console(t)
	kari, ola := browser(t, web), browser(t, web)
	status, text := signIn(t, kari, web, "kari")
	require.Equal(t, http.StatusOK, status, text)
	require.Equal(t, "/o/eksempel kari Kari Nordmann <kari@example.com> finance", text)
	_, text = signIn(t, ola, web, "ola")
	require.Equal(t, "/o/eksempel ola Ola Hansen <ola@example.com>", text, "somebody without a group is somebody without a role")

	// Programs ask with an access token of the same issuer; an ID token for the same audience is none.
	_, text = signIn(t, kari, web, "kari")
	require.NotEmpty(t, text)
	for member, want := range map[string]int{"access_token": http.StatusOK, "id_token": http.StatusUnauthorized} {
		raw := regexp.MustCompile(`"` + member + `":"([^"]+)"`).FindStringSubmatch(*tokens.answer.Load())
		require.NotNil(t, raw)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL+"/api/v1", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+raw[1])
		resp, err := web.Client().Do(r)
		status, text = read(t, resp, err)
		require.Equal(t, want, status, "%s: %s", member, text)
		if want == http.StatusOK {
			require.Equal(t, "/api/v1 kari kari finance", text)
		}
	}

	resp, err := kari.PostForm(web.URL+signin.SignOutPath, nil)
	status, _ = read(t, resp, err)
	require.Equal(t, http.StatusUnauthorized, status)
	resp, err = ola.Get(web.URL + "/x")
	status, _ = read(t, resp, err)
	require.Equal(t, http.StatusOK, status, "another's session stays")
}

// The issuer's answer serves once, in the browser that began.
func TestAnswerOfAnotherImplementation(t *testing.T) {
	web, _ := console(t)
	kari := browser(t, web)
	var answer string
	kari.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == signin.CallbackPath {
			answer = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	signIn(t, kari, web, "kari")
	require.NotEmpty(t, answer)
	resp, err := browser(t, web).Get(answer)
	status, text := read(t, resp, err)
	require.Equal(t, http.StatusBadRequest, status, text)
	public, _ := url.Parse(web.URL)
	kept := kari.Jar.Cookies(public)
	kari.CheckRedirect = nil
	resp, err = kari.Get(answer)
	status, text = read(t, resp, err)
	require.Equal(t, http.StatusOK, status, text)

	again := browser(t, web)
	for _, one := range kept {
		one.Secure, one.Path = true, "/"
	}
	again.Jar.SetCookies(public, kept)
	resp, err = again.Get(answer)
	status, text = read(t, resp, err)
	require.Equal(t, http.StatusBadRequest, status, text)
	require.Contains(t, text, "not_begun")
}
