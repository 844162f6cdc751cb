package dataverse

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/odata"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/limits"
)

var _ adapters.Verifier = Adapter{}

// latest are the headers of a verification: definitions and rights are cached for
// up to 30 seconds otherwise, and whoever asks may have changed them just now
// (docs/vendors.md#dataverse-consistency).
var latest = http.Header{"Consistency": {"Strong"}}

// unusedKey is a key that no entry has.
var unusedKey = strings.Repeat("0", keyLength)

const (
	keyLength      = 32
	currencyLength = 3
)

// Verify implements [adapters.Verifier]: the token, a look-up in the table, the
// table's definition, and the rights of the application user. It takes four
// requests, and one for each type of column.
func (d Adapter) Verify(ctx context.Context, c *adapters.Conn, w adapters.Requirements) (adapters.Contract, classify.Verdict) {
	defer c.For(limits.Lookup)()
	var contract adapters.Contract
	who, v, ok := d.send.Open(ctx, c, &contract, latest, "WhoAmI",
		"add the application as an application user of the environment, in the Power Platform admin center, and give it a role")
	if !ok || Vendor.NeedSettings(c.Settings) != nil {
		return contract, v
	}
	f := verification{
		send: d.send, conn: c, contract: &contract, set: c.Settings["table"], prefix: c.Settings["prefix"], dimensions: w.Dimensions,
		user: userOf(who),
	}
	return odata.RunSteps(ctx, &contract, f.lookUp, f.definition, f.rights)
}

// verification is one that is under way. Its steps say whether the next one makes
// sense.
type verification struct {
	send       odata.Sender
	conn       *adapters.Conn
	contract   *adapters.Contract
	set        string
	prefix     string
	dimensions []string
	user       string
	table      definition
}

func (f *verification) key() string { return f.prefix + keyColumn }

// lookUp makes the request with which an export asks what is there.
func (f *verification) lookUp(ctx context.Context) (bool, classify.Verdict) {
	ignored, standing, v := f.send.Sample(ctx, f.conn, latest, f.set, f.key(), f.key()+","+f.prefix+"amount", unusedKey)
	what := "look-up in " + f.set
	switch standing {
	case odata.Answered:
		if ignored {
			f.contract.Add(what, adapters.Differs, "rows come back that were not asked for: the filter is ignored",
				"find out what answers in the vendor's place; an export cannot know what is there")
			break
		}
		f.contract.Add(what, adapters.Checked, "a key that is not there finds nothing", "")
	case odata.Denied:
		f.contract.Add("right to read "+f.set, adapters.Differs, odata.VendorMessage(v), f.role())
	case odata.Absent:
		f.contract.Add("table "+f.set, adapters.Differs, odata.VendorMessage(v),
			"correct settings.table: it is the entity set name of the table, such as acme_ledgerlines, and neither its logical nor its display name")
		return false, odata.VerifyOK()
	case odata.Unclear: // a column that is missing; the definition says which
		f.contract.Add(what, adapters.Assumed, odata.VendorMessage(v), "")
	default:
		return false, v
	}
	return true, odata.VerifyOK()
}

func (f *verification) role() string {
	return "give the application user a role that may read, create and write " + f.set
}

// definition compares the table's definition with what an export writes.
func (f *verification) definition(ctx context.Context) (bool, classify.Verdict) {
	path := "EntityDefinitions?$select=LogicalName,EntitySetName,Privileges&$filter=EntitySetName%20eq%20'" + f.set + "'" +
		"&$expand=Keys($select=KeyAttributes,EntityKeyIndexStatus),Attributes($select=LogicalName,AttributeType,IsValidForCreate,IsValidForUpdate,IsSecured)"
	a, standing, v := f.send.Query(ctx, f.conn, latest, path)
	var tables []definition
	switch standing {
	case odata.Answered:
		var err error
		if tables, err = readDefinitions(a.Body); err != nil {
			return false, odata.Untrusted(err.Error())
		}
	case odata.Failed:
		return false, v
	}
	i := slices.IndexFunc(tables, func(t definition) bool { return t.EntitySetName == f.set })
	if i < 0 {
		found := "the vendor shows no definition of it"
		if standing != odata.Answered {
			found = odata.VendorMessage(v)
		}
		f.unknown(found, "check settings.table, and give the application user a role that may read the definitions of tables, columns and keys; or compare them with docs/vendors.md by hand")
		return true, odata.VerifyOK()
	}
	f.table = tables[i]
	f.contract.Add("table "+f.set, adapters.Checked, "logical name "+f.table.LogicalName, "")
	if v := f.columns(ctx); v.Class != classify.Success {
		return false, v
	}
	f.alternateKey()
	return true, odata.VerifyOK()
}

// unknown adds what a definition would have shown.
func (f *verification) unknown(found, remedy string) {
	for _, what := range []string{"columns of " + f.set, "alternate key on " + f.key()} {
		f.contract.Add(what, adapters.Assumed, found, remedy)
	}
}

// columns checks each column that an export writes.
func (f *verification) columns(ctx context.Context) classify.Verdict {
	suffixes := slices.Concat(columns, f.dimensions)
	details, v := f.details(ctx, suffixes)
	if v.Class != classify.Success {
		return v
	}
	for i, suffix := range suffixes {
		name := f.prefix + suffix
		if dimension := i >= len(columns); dimension && (!validColumn().MatchString(suffix) || slices.Contains(columns, suffix)) {
			f.contract.Add("column "+name, adapters.Differs, "a dimension cannot have the name "+suffix,
				"send the dimension to another name: lower-case letters, digits and underscores, and none of "+strings.Join(columns, ", "))
			continue
		}
		check := f.column(suffix, f.table.column(name), details[name])
		check.What = "column " + name
		f.contract.Checks = append(f.contract.Checks, check)
	}
	return odata.VerifyOK()
}

// typed are the properties that only columns of a type have.
var typed = map[string]string{
	"String": "MaxLength", "Memo": "MaxLength", "Decimal": "Precision,MinValue,MaxValue", "Money": "Precision,PrecisionSource",
	"DateTime": "Format,DateTimeBehavior",
}

// details asks for what only columns of a type have: a request for each type. What
// the vendor does not answer is missing.
func (f *verification) details(ctx context.Context, suffixes []string) (map[string]detail, classify.Verdict) {
	var types []string
	for _, suffix := range suffixes {
		if a := f.table.column(f.prefix + suffix); a != nil && typed[a.AttributeType] != "" && !slices.Contains(types, a.AttributeType) {
			types = append(types, a.AttributeType)
		}
	}
	out := make(map[string]detail)
	for _, name := range types {
		a, standing, v := f.send.Query(ctx, f.conn, latest, fmt.Sprintf(
			"EntityDefinitions(LogicalName='%s')/Attributes/Microsoft.Dynamics.CRM.%sAttributeMetadata?$select=LogicalName,%s", f.table.LogicalName, name, typed[name]))
		switch standing {
		case odata.Answered:
			list, err := readDetails(a.Body)
			if err != nil {
				return nil, odata.Untrusted(err.Error())
			}
			for _, d := range list {
				out[d.LogicalName] = d
			}
		case odata.Failed:
			return nil, v
		}
	}
	return out, odata.VerifyOK()
}

// column checks one column. a is nil if the table has none of the name.
func (f *verification) column(suffix string, a *attribute, d detail) adapters.Check {
	want := ruleOf(suffix)
	if a == nil {
		return adapters.Check{State: adapters.Differs, Found: "the table has no such column", Remedy: "add the column: " + want.words}
	}
	found := d.describe(a.AttributeType)
	switch {
	case !slices.Contains(want.types, a.AttributeType):
		return adapters.Check{State: adapters.Differs, Found: found, Remedy: "make it " + want.words}
	case no(a.IsValidForCreate) || no(a.IsValidForUpdate) && suffix != keyColumn:
		return adapters.Check{State: adapters.Differs, Found: found + ", and what is written to it is ignored",
			Remedy: "make it an ordinary column: " + want.words + ", neither calculated nor read-only"}
	}
	check := d.judge(want, a.AttributeType)
	check.Found = found
	if check.State == adapters.Checked && a.IsSecured != nil && *a.IsSecured {
		return adapters.Check{State: adapters.Assumed, Found: found + ", with column security",
			Remedy: "give the application user a column security profile that may read, create and update it"}
	}
	return check
}

func no(b *bool) bool { return b != nil && !*b }

// alternateKey looks for a key of the key column alone.
func (f *verification) alternateKey() {
	what := "alternate key on " + f.key()
	state := ""
	for _, k := range f.table.Keys {
		if slices.Equal(k.KeyAttributes, []string{f.key()}) && state != "Active" {
			state = k.EntityKeyIndexStatus
			if state == "" {
				state = "not shown"
			}
		}
	}
	switch state {
	case "":
		f.contract.Add(what, adapters.Differs, "the table has no alternate key that consists of this column alone", "add an alternate key that consists of "+f.key()+" alone")
	case "Active":
		f.contract.Add(what, adapters.Checked, "index Active", "")
	case "Pending", "InProgress":
		f.contract.Add(what, adapters.Differs, "index "+state, "wait until the vendor has built the index: the key must be Active")
	case "Failed":
		f.contract.Add(what, adapters.Differs, "index "+state, "see why the system job of the key failed, such as rows with the same key, and reactivate the key")
	default:
		f.contract.Add(what, adapters.Assumed, "index "+state, "see that the key is Active")
	}
}

// rights asks for the application user's privileges to create and to write rows.
// Its right to read them was tried.
func (f *verification) rights(ctx context.Context) (bool, classify.Verdict) {
	names := make([]string, 0, 2)
	needed := []struct{ kind, what string }{{"Create", "right to create rows in " + f.set}, {"Write", "right to change rows in " + f.set}}
	for _, n := range needed {
		if p := f.table.privilege(n.kind); p.Name != "" {
			names = append(names, p.Name)
		}
	}
	found := "the vendor does not show it"
	if len(names) == len(needed) && f.user != "" {
		list, _ := json.Marshal(names)
		a, standing, v := f.send.Query(ctx, f.conn, latest,
			"systemusers("+f.user+")/Microsoft.Dynamics.CRM.RetrieveUserSetOfPrivilegesByNames(PrivilegeNames=@p)?@p="+url.QueryEscape(string(list)))
		switch standing {
		case odata.Answered:
			held, err := readPrivileges(a.Body)
			if err != nil {
				return false, odata.Untrusted(err.Error())
			}
			for _, n := range needed {
				if p := f.table.privilege(n.kind); slices.ContainsFunc(held, p.is) {
					f.contract.Add(n.what, adapters.Checked, "privilege "+p.Name, "")
				} else {
					f.contract.Add(n.what, adapters.Differs, "privilege "+p.Name+" is missing", f.role())
				}
			}
			return true, odata.VerifyOK()
		case odata.Failed:
			return false, v
		}
		found = odata.VendorMessage(v)
	}
	for _, n := range needed {
		f.contract.Add(n.what, adapters.Assumed, found, f.role())
	}
	return true, odata.VerifyOK()
}
