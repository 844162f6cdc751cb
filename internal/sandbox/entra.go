package sandbox

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// entra serves the token endpoint for client credentials (docs/vendors.md#entra-errors).
func (s *Sandbox) entra(c *call) {
	refuse := func(status int, code, description string, number int) {
		c.entry.Credential = "bad"
		c.json(status, map[string]any{
			"error": code, "error_description": description, "error_codes": []int{number},
			"timestamp": s.now().UTC().Format("2006-01-02 15:04:05Z"), "trace_id": "t", "correlation_id": "c",
		})
	}
	form, err := url.ParseQuery(string(c.body))
	switch {
	case err != nil || form.Get("grant_type") != "client_credentials":
		refuse(http.StatusBadRequest, "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type.", 70003)
	case c.PathValue("tenant") != s.options.TenantID:
		refuse(http.StatusBadRequest, "invalid_request", "AADSTS90002: Tenant not found.", 90002)
	case form.Get("client_id") != s.options.ClientID:
		refuse(http.StatusBadRequest, "unauthorized_client", "AADSTS700016: Application with identifier was not found in the directory.", 700016)
	case form.Get("client_secret") != s.options.ClientSecret:
		refuse(http.StatusUnauthorized, "invalid_client", "AADSTS7000215: Invalid client secret provided.", 7000215)
	case !strings.HasSuffix(form.Get("scope"), "/.default"):
		refuse(http.StatusBadRequest, "invalid_scope", "AADSTS70011: The provided value for scope is not valid.", 70011)
	default:
		c.entry.Credential = "ok"
		token := "sandbox." + rand.Text()
		s.tokens[token] = s.now().Add(time.Hour)
		c.json(http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": 3599, "access_token": token})
	}
}

// user is true if a request has an access token that is good, or was when it
// was let in.
func (s *Sandbox) user(c *call) bool {
	token, ok := strings.CutPrefix(c.Header.Get("Authorization"), "Bearer ")
	end, known := s.tokens[token]
	return c.admitted || ok && known && s.now().Before(end)
}

// bearer checks an access token and answers 401 if it is not good.
func (s *Sandbox) bearer(c *call) bool {
	if s.user(c) {
		c.entry.Credential, c.admitted = "ok", true
		return true
	}
	c.entry.Credential = "bad"
	c.json(http.StatusUnauthorized, odataError("Authentication_InvalidCredentials", "The server has rejected the client credentials"))
	return false
}

// RevokeTokens makes every access token invalid before its time.
func (s *Sandbox) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

func odataError(code, message string) map[string]any {
	return map[string]any{"error": map[string]string{"code": code, "message": message}}
}
