package signin

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/coreos/go-oidc/v3/oidc"
)

// claims are a token's, by their names as they are written.
type claims map[string]json.RawMessage

func claimsOf(t *oidc.IDToken) (c claims, err error) {
	return c, t.Claims(&c)
}

// text is a claim that is a text, or nothing.
func (c claims) text(name string) (s string) {
	if json.Unmarshal(c[name], &s) != nil {
		return ""
	}
	return s
}

// yes reports whether a claim is true. Some issuers write it as a text.
func (c claims) yes(name string) bool {
	var b bool
	return json.Unmarshal(c[name], &b) == nil && b || c.text(name) == "true"
}

// email is the address that the issuer has verified, or the name with which somebody signs in,
// or an address of which nothing is known. It is for people to read.
func (c claims) email() string {
	address, user := c.text("email"), c.text("preferred_username")
	switch {
	case address != "" && c.yes("email_verified"), user == "" && c["email_verified"] == nil:
		return address
	}
	return user
}

// groups are the groups that a token names, of those that have access.
func (s *SignIn) groups(c claims) ([]string, *Error) {
	name := s.o.GroupsClaim
	var left map[string]json.RawMessage
	_ = json.Unmarshal(c["_claim_names"], &left)
	if _, out := left[name]; out || name == "groups" && c[name] == nil && c.yes("hasgroups") {
		return nil, &Error{TooManyGroups, "the issuer left out your groups, because you are in more than a token holds. An administrator of Entra ID can choose " +
			"\"Groups assigned to the application\" in the application's token configuration, or use app roles instead (docs/console.md#entra-id).", nil}
	}
	if c[name] == nil {
		return nil, nil
	}
	var list []string
	if json.Unmarshal(c[name], &list) != nil {
		var one string
		if json.Unmarshal(c[name], &one) != nil {
			return nil, &Error{Untrusted, fmt.Sprintf("the claim %s of the issuer is not a list of texts; change what it puts there", short(name)), nil}
		}
		list = []string{one}
	}
	known := make(map[string]bool)
	for _, g := range list {
		if key := groupKey(g); s.grants[key] != nil {
			known[key] = true
		}
	}
	return slices.Sorted(maps.Keys(known)), nil
}

// person is what is kept of a token's subject.
func (s *SignIn) person(t *oidc.IDToken) (Session, *Error) {
	c, err := claimsOf(t)
	if err != nil {
		return Session{}, &Error{Untrusted, "the issuer's token has no claims that can be read", err}
	}
	if t.Subject == "" || len(t.Subject) > maxSubject || shown(t.Subject) != t.Subject {
		return Session{}, &Error{Untrusted, fmt.Sprintf("the issuer's token names no subject of 1 to %d characters", maxText), nil}
	}
	groups, refused := s.groups(c)
	if refused != nil {
		return Session{}, refused
	}
	return Session{Subject: t.Subject, Name: shown(c.text("name")), Email: shown(c.email()), Groups: groups}, nil
}

// identity is who a session is of.
func (s *SignIn) identity(p Session) Identity {
	return Identity{Subject: p.Subject, Name: p.Name, Email: p.Email, Roles: s.roles(p.Groups)}
}
