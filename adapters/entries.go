package adapters

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// MaxKeys is how many keys one [Lookup] may ask for.
const MaxKeys = 1000

var (
	validKey    = regexp.MustCompile(`^[0-9a-f]{32}$`)
	validAmount = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,2})?$`)
)

// Check says what keeps entries from being sent in one request, all of it at
// once. Amounts are checked as text, because they are sent as they are written.
// No message repeats what stands in an entry.
func (x ExportTerms) Check(entries []Entry) error {
	var errs []error
	if n := len(entries); n == 0 || n > x.Entries {
		errs = append(errs, fmt.Errorf("%d entries; want 1 to %d in one request", n, x.Entries))
	}
	keys := make(map[string]int, len(entries))
	for i, e := range entries {
		first, twice := keys[e.Key]
		switch {
		case !validKey.MatchString(e.Key):
			errs = append(errs, fmt.Errorf("entries[%d].key: want 32 hex digits in lower case", i))
		case twice:
			errs = append(errs, fmt.Errorf("entries[%d].key: duplicate of entries[%d].key", i, first))
		}
		keys[e.Key] = i
		if !validAmount.MatchString(e.Amount) {
			errs = append(errs, fmt.Errorf("entries[%d].amount: want a decimal with at most 18 digits and 2 places, such as -100.50", i))
		}
		if e.Account == "" || e.Voucher == "" || e.Date.IsZero() {
			errs = append(errs, fmt.Errorf("entries[%d]: want an account, a voucher and a date", i))
		}
	}
	return errors.Join(errs...)
}

// ErrTooLarge is the error of [CheckSize].
var ErrTooLarge = errors.New("too large")

// CheckSize refuses a request that the [Client] would not send, with [ErrTooLarge].
func CheckSize(size int) error {
	if size > MaxRequest {
		return fmt.Errorf("%w: the request would be %d bytes and at most %d are sent; send fewer entries, or shorter texts", ErrTooLarge, size, MaxRequest)
	}
	return nil
}

// ParseLookup reads the body of [Lookup].
func ParseLookup(body []byte) ([]LookupKey, error) {
	var in LookupRequest
	if err := Strict(body, &in, "keys", "vouchers", "known"); err != nil {
		return nil, fmt.Errorf(`body: %w; want {"keys": ["…"]}`, err)
	}
	var errs []error
	if n := len(in.Vouchers); n > 0 && n != len(in.Keys) {
		errs = append(errs, fmt.Errorf("vouchers: %d for %d keys; want one for each, or none", n, len(in.Keys)))
		in.Vouchers = nil
	}
	sought := make([]LookupKey, len(in.Keys))
	if n := len(in.Keys); n == 0 || n > MaxKeys {
		errs = append(errs, fmt.Errorf("keys: %d; want 1 to %d", n, MaxKeys))
	}
	for i, k := range in.Keys {
		if !validKey.MatchString(k) {
			errs = append(errs, fmt.Errorf("keys[%d]: want 32 hex digits in lower case", i))
		}
		sought[i].Key, sought[i].Known = k, slices.Contains(in.Known, k)
		if in.Vouchers != nil {
			sought[i].Voucher = in.Vouchers[i]
		}
	}
	for i, k := range in.Known {
		if !slices.Contains(in.Keys, k) {
			errs = append(errs, fmt.Errorf("known[%d]: want one of the keys", i))
		}
	}
	return sought, errors.Join(errs...)
}
