package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// startWith starts the program with these variables, and a database that is not
// there.
func startWith(env map[string]string) (words string, err error) {
	var out bytes.Buffer
	err = run(context.Background(), nil, func(name string) string {
		if value, ok := env[name]; ok {
			return value
		}
		return map[string]string{"DATABASE_URL": "postgres://u@127.0.0.1:1/d"}[name]
	}, io.Discard, &out)
	return out.String(), err
}

// Where secrets are is checked before anything is connected to, all of it at once.
func TestSecretsSettings(t *testing.T) {
	organization := "0a0a0a0a-0000-4000-8000-000000000001"
	_, err := startWith(map[string]string{
		"LEDGERLINE_SECRETS": "here", "LEDGERLINE_ENV_SECRETS": organization + "=LEDGERLINE_", "LEDGERLINE_DEV_SHARED_SECRETS": "1",
		"LEDGERLINE_SMTP_URL": "smtp://u@h?from=l@example.com&password=file:here",
	})
	var u usageError
	require.True(t, errors.As(err, &u), "%v", err)
	for _, name := range []string{"LEDGERLINE_SECRETS: ", "LEDGERLINE_ENV_SECRETS: ", "LEDGERLINE_DEV_SHARED_SECRETS: ", "LEDGERLINE_SMTP_URL: password: "} {
		require.ErrorContains(t, err, name)
	}
	_, err = startWith(map[string]string{"LEDGERLINE_ENV_SECRETS": organization + "=MAIL_", "LEDGERLINE_SMTP_URL": "smtp://u@h?from=l@example.com&password=env:MAIL_PASSWORD"})
	require.True(t, errors.As(err, &u), "%v", err)
	require.ErrorContains(t, err, "organization "+organization+" can name this variable")
}

// That there are no secrets is said at the start, not only by each call.
func TestMissingSecretsAreSaid(t *testing.T) {
	dir := t.TempDir()
	for want, env := range map[string]map[string]string{
		"no organization has secrets":          {},
		"the folder of secrets cannot be read": {"LEDGERLINE_SECRETS": dir + "/nosuch"},
		"":                                     {"LEDGERLINE_SECRETS": dir},
		"DEVELOPMENT: every organization can":  {"LEDGERLINE_DEV_SHARED_SECRETS": "true"},
	} {
		words, err := startWith(env)
		require.ErrorContains(t, err, "cannot reach PostgreSQL")
		if want == "" {
			require.NotContains(t, words, "secrets")
		}
		require.Contains(t, words, want)
	}
}

// The development switch is said at every start.
func TestSharedSecretsAreSaid(t *testing.T) {
	words, err := startWith(map[string]string{"LEDGERLINE_DEV_SHARED_SECRETS": "true"})
	require.ErrorContains(t, err, "cannot reach PostgreSQL")
	require.Equal(t, 1, strings.Count(words, "DEVELOPMENT: every organization can read the secrets of all"), words)
	words, err = startWith(nil)
	require.ErrorContains(t, err, "cannot reach PostgreSQL")
	require.NotContains(t, words, "DEVELOPMENT")
}
