package integrations

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
)

// FieldChange is a field of an integration file that differs, with what it was and
// what it is to be, as people write it. A text is empty if the field is not there:
// then its default holds.
type FieldChange struct {
	Field string `json:"field"` // such as retry.maxRetries
	Old   string `json:"old"`
	New   string `json:"new"`
}

// Default is an integration of which a file says nothing.
func Default() Integration { return Integration{Policy: classify.DefaultPolicy()} }

// Diff returns the fields in which an integration differs from what it was, in the
// order of the file. It is empty exactly if both are stored as the same. Secrets are
// references, and may be shown.
func Diff(was, is Integration) []FieldChange {
	changes := diffFields(fieldsOf(was), fieldsOf(is))
	slices.SortStableFunc(changes, func(a, b FieldChange) int { return cmp.Compare(section(a.Field), section(b.Field)) })
	return changes
}

// DiffChannels is [Diff] of a channel.
func DiffChannels(was, is Channel) []FieldChange { return diffFields(was.fields(), is.fields()) }

func (c Channel) fields() (fields []field) {
	fields = appendFields(fields, "webhook", reflect.ValueOf(c.Webhook))
	fields = appendFields(fields, "email", reflect.ValueOf(c.Email))
	if len(c.Causes) > 0 {
		var names []string // as the file has them
		for _, cause := range c.Causes {
			names = append(names, cause.Name())
		}
		fields = appendFields(fields, "causes", reflect.ValueOf(names))
	}
	return fields
}

// DiffOrganizations is [Diff] of the names of an organization.
func DiffOrganizations(was, is Organization) []FieldChange {
	return diffFields(was.fields(), is.fields())
}

func (o Organization) fields() (fields []field) {
	for _, f := range []field{{"name", o.Name}, {"short", o.Short}} {
		if f.text != "" {
			fields = append(fields, f)
		}
	}
	return fields
}

// diffFields are the fields that differ: those that are there, then those that were.
func diffFields(before, after []field) (changes []FieldChange) {
	old, now := make(map[string]string), make(map[string]string)
	for _, f := range before {
		old[f.name] = f.text
	}
	for _, f := range after {
		now[f.name] = f.text
		if old[f.name] != f.text {
			changes = append(changes, FieldChange{f.name, old[f.name], f.text})
		}
	}
	for _, f := range before {
		if _, stays := now[f.name]; !stays {
			changes = append(changes, FieldChange{Field: f.name, Old: f.text})
		}
	}
	return changes
}

// Place is where the entries of an integration's exports go, see [adapters.Vendor.Place].
func (i Integration) Place() string {
	v, _ := vendors.Lookup(i.Adapter)
	v.Name = i.Adapter // also of one that is not known here
	return v.Place(i.BaseURL, i.Settings)
}

// sections are the fields of an integration in the order of a file.
var sections = []string{"name", "adapter", "baseURL", "inFlight", "settings", "credentials", "retry", "schedule", "export", "limits", "health"}

func section(field string) int {
	first, _, _ := strings.Cut(field, ".")
	return slices.Index(sections, first)
}

type field struct{ name, text string }

// fieldsOf are the fields of an integration that are there, by the names that they
// have in a file.
func fieldsOf(i Integration) (fields []field) {
	v := reflect.ValueOf(i)
	for n := range v.NumField() {
		name := jsonName(v.Type().Field(n))
		if slices.Contains(sections, name) && !(v.Field(n).Kind() == reflect.String && v.Field(n).Len() == 0) {
			fields = appendFields(fields, name, v.Field(n))
		}
	}
	return fields
}

// appendFields walks what is stored as JSON. What JSON leaves out is not there.
func appendFields(fields []field, name string, v reflect.Value) []field {
	switch x := v.Interface().(type) {
	case time.Duration:
		return append(fields, field{name, x.String()})
	case *Schedule:
		if x == nil {
			return fields
		}
		return append(fields, field{name, x.String()})
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return fields
		}
		return appendFields(fields, name, v.Elem())
	case reflect.Struct:
		for n := range v.NumField() {
			f := v.Type().Field(n)
			if strings.Contains(f.Tag.Get("json"), ",omit") && v.Field(n).IsZero() {
				continue
			}
			if f.Name == "NoProbes" { // a file says it the other way round
				fields = append(fields, field{name + ".probes", fmt.Sprint(!v.Field(n).Bool())})
				continue
			}
			fields = appendFields(fields, name+"."+jsonName(f), v.Field(n))
		}
		return fields
	case reflect.Map:
		values := make(map[string]reflect.Value)
		for k, value := range v.Seq2() {
			values[k.String()] = value
		}
		for _, k := range slices.Sorted(maps.Keys(values)) {
			if values[k].Kind() == reflect.String && values[k].Len() == 0 { // a dimension that is left out
				fields = append(fields, field{name + "." + k, `""`})
				continue
			}
			fields = appendFields(fields, name+"."+k, values[k])
		}
		return fields
	case reflect.Slice:
		words := make([]string, v.Len())
		for n := range words {
			words[n] = fmt.Sprint(v.Index(n))
		}
		return append(fields, field{name, strings.Join(words, ", ")})
	}
	return append(fields, field{name, fmt.Sprint(v)})
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
