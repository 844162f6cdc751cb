// Package integrations is what an organization's connection to a vendor looks
// like: the file in which people write it, the rules it must keep, and the
// references by which it names its secrets.
//
// A file is YAML and strict. Everything that is wrong with it is reported at
// once, each error with line, column and what would be right, because the one
// who reads it is about to fix it. Secrets never stand in a file: it names them
// as env:NAME or file:NAME, and only the worker that makes a call reads them.
//
// The package does no I/O and knows no SQL.
package integrations

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/internal/lazy"
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
	Export         ExportSettings    `json:"export,omitzero"`
	Limits         RequestLimits     `json:"limits,omitzero"`
	Health         health.Policy     `json:"health,omitzero"` // how it is watched
}

// ExportSettings says which entries an integration exports and how they become the
// vendor's. The zero value takes everything as it is.
type ExportSettings struct {
	Source     string            `json:"source,omitempty"`     // table or view, "schema.name"; "" is ledgerline.accounting_entries
	ChunkSize  int               `json:"chunkSize,omitempty"`  // most entries in a request; 0 is the adapter's own limit
	Accounts   map[string]string `json:"accounts,omitempty"`   // ours to the vendor's, and no others; nil takes all as they are
	Dimensions map[string]string `json:"dimensions,omitempty"` // ours to the vendor's field, and no others; "" leaves one out
	Currencies []string          `json:"currencies,omitempty"` // that the vendor takes; nil is NOK
	Columns    map[string]string `json:"columns,omitempty"`    // our names of columns, see [EntryColumns], to the headings in files of entries

	IsolateRequests *int `json:"isolateRequests,omitempty"` // that a run may spend on finding refused vouchers; nil is [defaultIsolateRequests]
	EqualRefusals   int  `json:"equalRefusals,omitempty"`   // so many vouchers refused for one reason end a run that has had nothing accepted; 0 is [DefaultEqualRefusals]
}

// What an export does about refusals unless its file says otherwise.
const (
	defaultIsolateRequests = 500
	DefaultEqualRefusals   = 16
)

// Isolating is how many requests a run may spend on finding refused vouchers.
func (e ExportSettings) Isolating() int {
	if e.IsolateRequests != nil {
		return *e.IsolateRequests
	}
	return defaultIsolateRequests
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
func (e ExportSettings) Fields() []string {
	var fields []string
	for _, field := range e.Dimensions {
		if field != "" && !slices.Contains(fields, field) {
			fields = append(fields, field)
		}
	}
	slices.Sort(fields)
	return fields
}

// Ref names a secret without holding it, in the space of the integration's
// organization: "env:NAME", an environment variable of the worker, or
// "file:NAME", a file. Package secrets reads them.
type Ref string

var (
	envName  = lazy.Regexp(`^[A-Za-z_][A-Za-z0-9_]*$`)
	fileName = lazy.Regexp(`^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$`)
)

// Validate says why a reference cannot be used, or nil. The message never
// repeats the text: it may be a secret that was put in the wrong place.
func (r Ref) Validate() error {
	if name, ok := strings.CutPrefix(string(r), "env:"); ok {
		if !envName().MatchString(name) || len(name) > 255 {
			return errors.New("env: is not followed by the name of an environment variable; want env:NAME")
		}
		return nil
	}
	name, ok := strings.CutPrefix(string(r), "file:")
	switch {
	case !ok:
		return errors.New("a secret must not stand in the file; want a reference, env:NAME or file:NAME")
	case strings.HasPrefix(name, "/"):
		return errors.New("file: is followed by an absolute path, which is no longer read; move the file to $LEDGERLINE_SECRETS/<organization UUID>/NAME and write file:NAME (docs/operations.md, Secrets)")
	case !fileName().MatchString(name) || len(name) > 255:
		return errors.New("file: is not followed by the name of a file in the organization's folder of secrets; want file:NAME, of letters, digits, dots, dashes and underscores, not beginning with a dot: a file names secrets of its own organization and no others")
	}
	return nil
}
