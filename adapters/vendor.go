package adapters

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/expiry"
)

// Vendor is all that the rest of the program knows of a vendor: one value in the
// vendor's own package, and one line in adapters/vendors. What an integration
// file may hold, what starter explain knows and what docs/vendors.md lists are
// derived from it.
type Vendor struct {
	Name  string // in integration files, logs and outcomes
	Title string // for people

	// Hosts are where it may be called; one that begins with a dot allows every
	// host below it.
	Hosts []string
	// Path is what the path of a base URL must be, without a slash at its end, and Base an
	// example of a whole one. Requests are made below it.
	Path *regexp.Regexp
	Base string

	Settings    []Setting
	Credentials []string // names of the secrets that an integration must have

	Codes  classify.Table
	Export ExportTerms
	Price  *Price // of requests; nil if they cost nothing

	// InFlight is how long a request can take effect after the deadline of the
	// call that sent it; InFlightChanged where the same record was sent before with
	// other content, 0 if that makes no difference. An integration can override
	// both with one value. Sources: docs/vendors.md#in-flight.
	InFlight, InFlightChanged time.Duration
}

// Price is what a vendor bills for requests by its price list. Volume, where it is
// billed too, is not in it.
type Price struct {
	Included int64 // requests a month
	Pence    int64 // GBP 0.01, for each one above
}

// Estimate is what a month's requests cost, such as "GBP 12.30".
func (p Price) Estimate(requests int64) string {
	pence := max(0, requests-p.Included) * p.Pence
	return fmt.Sprintf("GBP %d.%02d", pence/100, pence%100)
}

// ExportTerms are what one request of an [Exporter] may carry. The zero value is of a
// vendor that takes no exports.
type ExportTerms struct {
	Entries int // most entries in a request
	Default int // entries in a request unless the integration says otherwise
	// Atomic: the vendor documents a request as all or nothing. If some of it is
	// there and the rest is not, a person must look.
	Atomic bool
	// QuietRefusal: a refused token looks like a refused voucher, so a run asks for
	// nothing before it blames a voucher.
	QuietRefusal bool
	// LateErrors: some are found only later, by [Exporter.LateErrors].
	LateErrors bool
	// Currencies: it takes amounts in several; otherwise they are in the company's.
	Currencies bool
	// Dimensions are the vendor's fields that an entry's dimensions can go to; nil
	// means any.
	Dimensions []string
}

// ChunkSize is how many entries a request of an integration carries whose file wants so many;
// 0 leaves it to the vendor's terms.
func (t ExportTerms) ChunkSize(wanted int) int {
	if wanted > 0 {
		return min(wanted, t.Entries)
	}
	return t.Default
}

// Setting is one of an integration's settings at a vendor.
type Setting struct {
	Name      string
	Pattern   *regexp.Regexp // nil is any text without blanks
	Want      string         // what a value that does not match should look like
	Required  bool           // without it nothing works
	ForExport bool           // exports need it, and it says where their entries go
	Locates   bool           // it says where requests go, together with the base URL
	Hosts     []string       // of a setting that is an address: where it may lead
	Ends      string         // of a setting that is a date: the credential that ends on it
}

// InFlightOf is how long a request of an integration can take effect after its
// deadline: one that repeats what was sent before, and one that sends a record
// with other content. override is the integration's own, nil if it has none; it
// stands for both.
func (v Vendor) InFlightOf(override *time.Duration) (same, changed time.Duration) {
	if override != nil {
		return *override, *override
	}
	return v.InFlight, max(v.InFlight, v.InFlightChanged)
}

// CheckPath returns what a base URL must look like if its path is not one below which the
// vendor takes requests.
func (v Vendor) CheckPath(u *url.URL) error {
	if v.Path == nil || v.Path.MatchString(strings.TrimSuffix(u.EscapedPath(), "/")) {
		return nil
	}
	return fmt.Errorf("path %q: want that of the API, as in %s", u.EscapedPath(), v.Base)
}

// Address names where the requests of an integration go. What is answered at one
// address says nothing of what was sent to another.
func (v Vendor) Address(baseURL string, settings map[string]string) string {
	return v.where(baseURL, settings, func(s Setting) bool { return s.Locates })
}

// Place is [Vendor.Address] of the entries of exports: it has the settings that
// say where in a company they go, too.
func (v Vendor) Place(baseURL string, settings map[string]string) string {
	return v.where(baseURL, settings, func(s Setting) bool { return s.Locates || s.ForExport })
}

func (v Vendor) where(baseURL string, settings map[string]string, counts func(Setting) bool) string {
	address := strings.TrimRight(baseURL, "/")
	if u, err := url.Parse(address); err == nil {
		u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
		address = u.String()
	}
	words := []string{v.Name, address}
	for _, s := range v.Settings {
		if counts(s) && settings[s.Name] != "" {
			words = append(words, s.Name+"="+settings[s.Name])
		}
	}
	return strings.Join(words, " ")
}

// NeedSettings says which settings for exports are missing or wrong, all at
// once. Adapters call it before an export; for everything else they can do
// without them.
func (v Vendor) NeedSettings(settings map[string]string) error {
	var errs []error
	for _, s := range v.Settings {
		if !s.ForExport {
			continue
		}
		if settings[s.Name] == "" {
			errs = append(errs, fmt.Errorf("settings.%s: missing; exports need it: add %s to the integration file", s.Name, s.Want))
		} else if err := s.Check(settings[s.Name]); err != nil {
			errs = append(errs, fmt.Errorf("settings.%s: want %w", s.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Check returns what the setting must look like if a value does not. The message
// begins with what is wanted, without the setting's name.
func (s Setting) Check(value string) error {
	if s.Pattern != nil && !s.Pattern.MatchString(value) {
		return errors.New(s.Want)
	}
	if s.Ends != "" {
		if _, err := expiry.Date(value); err != nil {
			return errors.New(s.Want)
		}
	}
	return nil
}

// Ends returns the secrets whose end the settings say. A value that is no date
// says nothing: files with one are refused.
func (v Vendor) Ends(settings map[string]string) []expiry.Secret {
	var ends []expiry.Secret
	for _, s := range v.Settings {
		if s.Ends == "" {
			continue
		}
		if at, err := expiry.Date(settings[s.Name]); err == nil {
			ends = append(ends, expiry.Secret{Credential: s.Ends, Source: expiry.File, ExpiresAt: at})
		}
	}
	return ends
}

// EntraHosts are where tokens come from.
var EntraHosts = []string{"login.microsoftonline.com"}

// Settings that several vendors share.
var (
	date       = regexp.MustCompile(`^20[0-9]{2}-[0-9]{2}-[0-9]{2}$`)
	guid       = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	entraNames = []Setting{
		{Name: "tenantId", Required: true, Locates: true}, {Name: "clientId", Required: true}, {Name: "authority", Hosts: EntraHosts},
		// Entra does not let a client ask when its secret ends.
		{Name: "clientSecretExpires", Pattern: date, Want: "a date such as 2027-01-31", Ends: "clientSecret"},
	}
)

// GUID is a setting for exports that holds a GUID.
func GUID(name, want string) Setting {
	return Setting{Name: name, Pattern: guid, Want: want, ForExport: true}
}

// Entra are the settings of a vendor whose tokens come from Entra ID, and more.
func Entra(more ...Setting) []Setting { return slices.Concat(entraNames, more) }
