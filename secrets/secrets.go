// Package secrets reads what references name: env:NAME and file:NAME, see
// [integrations.Ref].
//
// An organization's file says which secret is read, and whoever writes that file
// is not trusted with the secrets of others. So a reference is looked up in the
// organization's own space: file:NAME below a folder of its own, env:NAME only
// among the variables with its prefix. What the worker itself is configured by
// can be named by nobody.
//
// A secret is read for each attempt, so that a renewed one is used at once. A
// file may be anything: a pipe, a device, a file on a mount that no longer
// answers. Only regular files are opened, and a read that takes too long is
// abandoned, of which there are never more than a few.
//
// Errors name the reference and never the value.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/integrations"
)

// Store is where secrets are. The zero value has none.
type Store struct {
	Dir       string               // absolute; has a folder for each organization, named by its UUID
	Prefixes  map[uuid.UUID]string // of the environment variables that an organization may name
	DevShared bool                 // development only: any variable, absolute paths, files that others can read
	Log       *slog.Logger         // nil logs nothing

	reads  reads
	opened sync.Once              // said of the mail server's password
	before func(integrations.Ref) // each read of a file; for tests, may be nil
}

// Resolve reads the secret that an organization's reference names. It returns
// when ctx ends, or after [patience], whatever the file does. An error that is
// [ErrHangs] may pass by itself.
func (s *Store) Resolve(ctx context.Context, organization uuid.UUID, ref integrations.Ref) (string, error) {
	if err := s.Check(organization, ref); err != nil {
		return "", err
	}
	if name, ok := strings.CutPrefix(string(ref), "env:"); ok {
		return text(ref, os.Getenv(name))
	}
	name := strings.TrimPrefix(string(ref), "file:")
	if filepath.IsAbs(name) { // Check has seen that it may
		return s.file(ctx, organization, ref, func() ([]byte, error) { return readPath(name, func(fs.FileMode) error { return nil }) })
	}
	if s.Dir == "" {
		return "", fmt.Errorf("%s: there is no folder of secrets; set LEDGERLINE_SECRETS where the worker runs", ref)
	}
	return s.file(ctx, organization, ref, func() ([]byte, error) {
		return readInRoot(filepath.Join(s.Dir, organization.String()), name, s.DevShared)
	})
}

// Check says why an organization may not name a secret in this way, or nil. It
// reads nothing.
func (s *Store) Check(organization uuid.UUID, ref integrations.Ref) error {
	if path, ok := strings.CutPrefix(string(ref), "file:"); ok && s.DevShared && operatorPath(path) {
		return nil
	}
	if err := ref.Validate(); err != nil {
		return err
	}
	name, ok := strings.CutPrefix(string(ref), "env:")
	if !ok || s.DevShared {
		return nil
	}
	prefix, ok := s.Prefixes[organization]
	switch {
	case !ok:
		return fmt.Errorf("%s: organization %s has no prefix in LEDGERLINE_ENV_SECRETS; want %[2]s=PREFIX_ there, or file:NAME", ref, organization)
	case !strings.HasPrefix(name, prefix):
		return fmt.Errorf("%s: does not begin with %s, the prefix that LEDGERLINE_ENV_SECRETS gives organization %s", ref, prefix, organization)
	}
	return nil
}

// Operator returns what reads a secret of the operator, such as the password of
// the mail server: env:NAME or file:/path. A variable that an organization may
// name is refused.
func (s *Store) Operator(ref string) (func(context.Context) (string, error), error) {
	if name, ok := strings.CutPrefix(ref, "env:"); ok {
		if err := integrations.Ref(ref).Validate(); err != nil {
			return nil, err
		}
		for organization, prefix := range s.Prefixes {
			if strings.HasPrefix(name, prefix) {
				return nil, fmt.Errorf("%s: organization %s can name this variable, by its prefix in LEDGERLINE_ENV_SECRETS; want another name", ref, organization)
			}
		}
		return func(context.Context) (string, error) { return text(ref, os.Getenv(name)) }, nil
	}
	path, ok := strings.CutPrefix(ref, "file:")
	if !ok {
		return nil, errors.New("a secret must not stand here; want a reference, env:NAME or file:/path")
	}
	if !operatorPath(path) {
		return nil, errors.New("file: is not followed by an absolute path; want file:/path/to/secret")
	}
	return func(ctx context.Context) (string, error) {
		return s.file(ctx, uuid.Nil, integrations.Ref(ref), func() ([]byte, error) {
			return readPath(path, func(m fs.FileMode) error {
				if open(m) && s.Log != nil { // a container's secret often is
					s.opened.Do(func() {
						s.Log.Warn("everybody on this machine has access to the file of the mail server's password", "mode", m.Perm().String())
					})
				}
				return nil
			})
		})
	}, nil
}

func operatorPath(path string) bool {
	return filepath.IsAbs(path) && !strings.ContainsAny(path, "\x00\r\n") && filepath.Clean(path) == path
}

// text checks a secret as it was found and takes its line break off.
func text[R ~string](ref R, secret string) (string, error) {
	secret = strings.TrimSuffix(strings.TrimSuffix(secret, "\n"), "\r")
	switch {
	case secret == "":
		return "", fmt.Errorf("%s: the secret is missing or empty; set it where the worker runs", ref)
	case !utf8.ValidString(secret):
		return "", fmt.Errorf("%s: is not UTF-8, so it could not be masked where it comes back", ref)
	case strings.TrimSpace(secret) != secret || strings.HasPrefix(secret, "\ufeff"):
		return "", fmt.Errorf("%s: begins or ends with a blank, or begins with a byte order mark (U+FEFF); write the secret and nothing else", ref)
	case len(secret) > maxSecret:
		return "", fmt.Errorf("%s: longer than %d bytes", ref, maxSecret)
	case strings.ContainsAny(secret, "\r\n\x00"):
		return "", fmt.Errorf("%s: has a line break or NUL inside, which no header can carry", ref)
	}
	return secret, nil
}
