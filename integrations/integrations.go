// Package integrations is what an organization's connection to a vendor looks
// like: the file in which people write it, the rules it must keep, and the
// references by which it names its secrets.
//
// A file is YAML and strict. Everything that is wrong with it is reported at
// once, each fault with line, column and what would be right, because the one
// who reads it is about to fix it. Secrets never stand in a file: it names them
// as env:NAME or file:/path, and only the worker that makes a call reads them.
//
// The package does no I/O but [Ref.Resolve], and knows no SQL.
package integrations

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
)

// Integration is one organization's connection to one vendor.
type Integration struct {
	OrganizationID uuid.UUID         `json:"organizationId"`
	ID             uuid.UUID         `json:"integrationId"`
	Name           string            `json:"name"`    // unique in the organization: lower-case letters, digits and dashes
	Adapter        string            `json:"adapter"` // see adapters/vendors
	BaseURL        string            `json:"baseURL"`
	InFlight       *time.Duration    `json:"inFlight,omitempty"` // how long a request can take effect after its deadline; nil is the vendor's own
	Settings       map[string]string `json:"settings,omitempty"` // not secret: tenantId, clientId, authority, …
	Credentials    map[string]Ref    `json:"credentials"`        // by name: token, clientSecret
	Policy         classify.Policy   `json:"retry"`
	Schedule       *Schedule         `json:"schedule,omitempty"` // nil if nothing is exported by itself
	Export         Export            `json:"export,omitzero"`
	Limits         Limits            `json:"limits,omitzero"`
	Health         health.Policy     `json:"health,omitzero"` // how it is watched
}

// Export says which entries an integration exports and how they become the
// vendor's. The zero value takes everything as it is.
type Export struct {
	Source     string            `json:"source,omitempty"`     // table or view, "schema.name"; "" is ledgerline.accounting_entries
	ChunkSize  int               `json:"chunkSize,omitempty"`  // most entries in a request; 0 is the adapter's own limit
	Accounts   map[string]string `json:"accounts,omitempty"`   // ours to the vendor's, and no others; nil takes all as they are
	Dimensions map[string]string `json:"dimensions,omitempty"` // ours to the vendor's field, and no others; "" leaves one out
	Currencies []string          `json:"currencies,omitempty"` // that the vendor takes; nil is NOK

	IsolateRequests *int `json:"isolateRequests,omitempty"` // that a run may spend on finding refused vouchers; nil is [DefaultIsolateRequests]
	EqualRefusals   int  `json:"equalRefusals,omitempty"`   // so many vouchers refused for one reason end a run that has had nothing accepted; 0 is [DefaultEqualRefusals]
}

// What an export does about refusals unless its file says otherwise.
const (
	DefaultIsolateRequests = 500
	DefaultEqualRefusals   = 16
)

// Isolating is how many requests a run may spend on finding refused vouchers.
func (e Export) Isolating() int {
	if e.IsolateRequests != nil {
		return *e.IsolateRequests
	}
	return DefaultIsolateRequests
}

// ContractFile identifies what of an integration's file the contract with its
// vendor depends on: a SHA-256 in hex.
func (i Integration) ContractFile() string {
	settings := maps.Clone(i.Settings)
	if v, ok := vendors.Lookup(i.Adapter); ok {
		for _, s := range v.Settings {
			if s.Ends != "" { // says nothing of the vendor
				delete(settings, s.Name)
			}
		}
	}
	sum := sha256.New()
	err := json.NewEncoder(sum).Encode([]any{i.Adapter, i.BaseURL, settings, i.Credentials, i.Export.Dimensions})
	if err != nil {
		panic(err) // texts
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Fields are the vendor's fields to which dimensions go, sorted.
func (e Export) Fields() []string {
	var fields []string
	for _, field := range e.Dimensions {
		if field != "" && !slices.Contains(fields, field) {
			fields = append(fields, field)
		}
	}
	slices.Sort(fields)
	return fields
}

// Ref names a secret without holding it: "env:NAME", an environment variable
// of the worker, or "file:/path", a file that the worker can read.
type Ref string

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Validate says why a reference cannot be used, or nil. The message never
// repeats the text: it may be a secret that was put in the wrong place.
func (r Ref) Validate() error {
	if name, ok := strings.CutPrefix(string(r), "env:"); ok {
		if !envName.MatchString(name) {
			return errors.New("env: is not followed by the name of an environment variable; want env:NAME")
		}
		return nil
	}
	if path, ok := strings.CutPrefix(string(r), "file:"); ok {
		if !filepath.IsAbs(path) || strings.ContainsAny(path, "\x00\r\n") || filepath.Clean(path) != path {
			return errors.New("file: is not followed by an absolute path; want file:/path/to/secret")
		}
		return nil
	}
	return errors.New("a secret must not stand in the file; want a reference, env:NAME or file:/path")
}

// maxSecret is the longest secret that is read, in bytes.
const maxSecret = 16 << 10

// Resolve reads the secret. It is called for each attempt, so that a rotated
// secret is used at once. Its errors name the reference and never the value.
func (r Ref) Resolve() (string, error) {
	if err := r.Validate(); err != nil {
		return "", err
	}
	var secret string
	if name, ok := strings.CutPrefix(string(r), "env:"); ok {
		secret = os.Getenv(name)
	} else {
		f, err := os.Open(strings.TrimPrefix(string(r), "file:"))
		if err != nil {
			return "", fmt.Errorf("%s: %w", r, reason(err))
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
		if err != nil {
			return "", fmt.Errorf("%s: %w", r, reason(err))
		}
		secret = string(b)
	}
	secret = strings.TrimSuffix(strings.TrimSuffix(secret, "\n"), "\r")
	switch {
	case secret == "":
		return "", fmt.Errorf("%s: the secret is missing or empty; set it where the worker runs", r)
	case len(secret) > maxSecret:
		return "", fmt.Errorf("%s: longer than %d bytes", r, maxSecret)
	case strings.ContainsAny(secret, "\r\n\x00"):
		return "", fmt.Errorf("%s: has a line break or NUL inside, which no header can carry", r)
	}
	return secret, nil
}

// reason drops the path from a file error; the reference names it already.
func reason(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
