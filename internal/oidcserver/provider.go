package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// person is somebody who can sign in. Their password is their name.
type person struct {
	Name   string
	Full   string
	Groups []string
}

// parsePerson reads NAME:FULL NAME:GROUP,GROUP.
func parsePerson(s string) (person, error) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 || parts[0] == "" {
		return person{}, fmt.Errorf("%q is not a person; want NAME:FULL NAME:GROUP,GROUP", s)
	}
	return person{parts[0], parts[1], strings.FieldsFunc(parts[2], func(c rune) bool { return c == ',' })}, nil
}

// people are the storage's users, by name, which is their ID too.
type people map[string]person

func (p people) GetUserByID(id string) *storage.User {
	one, ok := p[id]
	if !ok {
		return nil
	}
	first, last, _ := strings.Cut(one.Full, " ")
	return &storage.User{ID: one.Name, Username: one.Name, Password: one.Name, FirstName: first, LastName: last, Email: one.Name + "@example.com", EmailVerified: true}
}

func (p people) GetUserByUsername(name string) *storage.User { return p.GetUserByID(name) }

func (p people) ExampleClientID() string { return "none" }

// store adds groups to ID tokens and access tokens, and makes the latter JWTs.
type store struct {
	*storage.Storage
	people people
}

func (s store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return client{c}, nil
}

func (s store) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, token op.IDTokenRequest, scopes []string) error {
	if err := s.Storage.SetUserinfoFromRequest(ctx, info, token, scopes); err != nil {
		return err
	}
	info.AppendClaims("groups", s.people[token.GetSubject()].Groups)
	return nil
}

func (s store) GetPrivateClaimsFromScopes(_ context.Context, user, _ string, _ []string) (map[string]any, error) {
	return map[string]any{"groups": s.people[user].Groups}, nil
}

// client has names in its ID tokens, as Entra ID does.
type client struct{ op.Client }

func (client) IDTokenUserinfoClaimsAssertion() bool { return true }
func (client) AccessTokenType() op.AccessTokenType  { return op.AccessTokenTypeJWT }
func (client) LoginURL(id string) string            { return "/login?id=" + id }
func (client) IDTokenLifetime() time.Duration       { return 10 * time.Minute }

// serve starts an issuer at a listener, for one application, until ctx ends. It returns the issuer's URL.
func serve(ctx context.Context, l net.Listener, id, secret, redirect string, all []person) (string, error) {
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return "", err
	}
	issuer := "http://localhost:" + port
	byName := make(people)
	for _, p := range all {
		byName[p.Name] = p
	}
	web := storage.WebClient(id, secret, redirect)
	s := store{storage.NewStorageWithClients(byName, map[string]*storage.Client{id: web}), byName}
	provider, err := op.NewProvider(&op.Config{
		CryptoKey: [32]byte{1}, CodeMethodS256: true, SupportedScopes: []string{"openid", "profile", "email"},
	}, s, op.StaticIssuer(issuer), op.WithAllowInsecure())
	if err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { form(w, r.FormValue("id"), "") })
	mux.Handle("POST /login", op.NewIssuerInterceptor(provider.IssuerFromRequest).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.CheckUsernamePassword(r.FormValue("user"), r.FormValue("password"), r.FormValue("id")); err != nil {
			form(w, r.FormValue("id"), err.Error())
			return
		}
		http.Redirect(w, r, op.AuthCallbackURL(provider)(r.Context(), r.FormValue("id")), http.StatusFound)
	}))
	mux.Handle("/", provider)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	}()
	return issuer, nil
}

// form asks who somebody is.
func form(w http.ResponseWriter, id, wrong string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Test issuer</title><h1>Test issuer</h1><p role="alert">%s</p>
<form method="post" action="/login"><input type="hidden" name="id" value="%s">
<label>User <input name="user" autofocus></label> <label>Password <input name="password" type="password"></label> <button>Sign in</button></form>`,
		html.EscapeString(wrong), html.EscapeString(id))
}
