package adapters

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
)

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// shapes are the settings that become part of an address or a column name, and
// how they must look. Other settings are texts.
var shapes = map[string]struct {
	pattern *regexp.Regexp
	want    string
}{
	"companyId": {guid, "the company's GUID"},
	"journalId": {guid, "the journal's GUID"},
	"table":     {regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,99}$`), "an entity set name, such as acme_ledgerlines"},
	"prefix":    {regexp.MustCompile(`^[a-z][a-z0-9]{1,7}_$`), "a publisher's prefix: 2 to 8 lower-case letters and digits and an underscore, such as acme_"},
}

// CheckSetting returns what a setting must look like if its value does not. The
// message begins with what is wanted, without the setting's name.
func CheckSetting(name, value string) error {
	if s, ok := shapes[name]; ok && !s.pattern.MatchString(value) {
		return errors.New(s.want)
	}
	return nil
}

// NeedSettings says which of the named settings are missing or wrong, all at
// once. Adapters call it before an export; for everything else they can do
// without them.
func NeedSettings(settings map[string]string, names ...string) error {
	var faults []error
	for _, name := range names {
		if settings[name] == "" {
			faults = append(faults, fmt.Errorf("settings.%s: missing; exports need it: add %s to the integration file", name, shapes[name].want))
		} else if err := CheckSetting(name, settings[name]); err != nil {
			faults = append(faults, fmt.Errorf("settings.%s: want %w", name, err))
		}
	}
	return errors.Join(faults...)
}

// dimensionFields are the vendor's fields that an entry's dimensions can go to.
// An adapter without a line takes any name.
var dimensionFields = map[string][]string{
	// docs/vendors.md#sources. The first eight are objects and the last two are texts.
	"xledger": {"glObject1", "glObject2", "glObject3", "glObject4", "glObject5", "project", "taxRule", "company", "invoiceNumber", "paymentReference"},
}

// DimensionFields returns the names that [Entry.Dimensions] can have for an
// adapter; nil means any.
func DimensionFields(adapter string) []string { return slices.Clone(dimensionFields[adapter]) }
