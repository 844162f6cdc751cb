package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Definition says in what every Dataverse table differs from what docs/vendors.md
// asks a customer to make. It shows in EntityDefinitions and, as far as rights go,
// in every request for rows. Rows are stored whatever their columns are.
type Definition struct {
	// Columns are in place of those of the same names, or come on top of them; one
	// without a type is not there.
	Columns map[string]Column
	// Key is the state of the alternate key on the key column: Active if it is
	// empty. [NoKey] is none, and [WideKey] one that has another column too.
	Key string
	// Denied are the privileges that the application user lacks: Read, Create, Write.
	Denied []string
}

// Keys that are not what exports need.
const (
	NoKey   = "none"
	WideKey = "wide"
)

// Column is a column of a Dataverse table. What does not belong to its type is
// not shown.
type Column struct {
	Type                 string // AttributeType
	MaxLength, Precision int
	PrecisionSource      int    // of Money
	Behavior             string // of DateTime
	Required             string // RequiredLevel: None if it is empty
	ReadOnly             bool   // valid neither for create nor for update
	Secured              bool
}

// columns are those of a set: what docs/vendors.md asks for, two dimensions, and
// what every table of users' own has.
func (d Definition) columns(set string) map[string]Column {
	before, _, _ := strings.Cut(set, "_")
	prefix := before + "_"
	out := map[string]Column{
		primary(set): {Type: "Uniqueidentifier", Required: "SystemRequired"}, "createdon": {Type: "DateTime", Behavior: "UserLocal", ReadOnly: true},
		"ownerid": {Type: "Owner", Required: "SystemRequired"}, "statecode": {Type: "State", Required: "SystemRequired"},
		prefix + "name": {Type: "String", MaxLength: 850, Required: "ApplicationRequired"},
		prefix + "key":  {Type: "String", MaxLength: 32}, prefix + "voucher": {Type: "String", MaxLength: 100}, prefix + "account": {Type: "String", MaxLength: 100},
		prefix + "currency": {Type: "String", MaxLength: 3}, prefix + "text": {Type: "Memo", MaxLength: 2000},
		prefix + "date": {Type: "DateTime", Behavior: "DateOnly"}, prefix + "amount": {Type: "Decimal", Precision: 2},
		prefix + "project": {Type: "String", MaxLength: 100}, prefix + "department": {Type: "String", MaxLength: 100},
	}
	for name, c := range d.Columns {
		if out[name] = c; c.Type == "" {
			delete(out, name)
		}
	}
	return out
}

// keys are the alternate keys of a set.
func (d Definition) keys(set string) []map[string]any {
	before, _, _ := strings.Cut(set, "_")
	attributes, state := []string{before + "_key"}, d.Key
	switch d.Key {
	case NoKey:
		return []map[string]any{}
	case WideKey:
		attributes, state = append(attributes, before+"_voucher"), "Active"
	case "":
		state = "Active"
	}
	return []map[string]any{{"MetadataId": metadataID(set + "/key"), "KeyAttributes": attributes, "EntityKeyIndexStatus": state}}
}

// metadataID names a definition, always in the same way.
func metadataID(of string) string { return uuid.NewSHA1(uuid.NameSpaceURL, []byte(of)).String() }

// privilegeName is the name of a right to the rows of a set.
func privilegeName(kind, set string) string { return "prv" + kind + strings.TrimSuffix(set, "s") }

// common is what an attribute of any type has.
func (c Column) common(set, name string) map[string]any {
	required := c.Required
	if required == "" {
		required = "None"
	}
	return map[string]any{
		"MetadataId": metadataID(set + "/" + name), "LogicalName": name, "SchemaName": name, "AttributeType": c.Type,
		"AttributeTypeName": map[string]string{"Value": c.Type + "Type"},
		"IsValidForCreate":  !c.ReadOnly, "IsValidForUpdate": !c.ReadOnly && c.Type != "Uniqueidentifier", "IsValidForRead": true, "IsSecured": c.Secured,
		"RequiredLevel": map[string]any{"Value": required, "CanBeChanged": true, "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings"},
	}
}

// own is what only an attribute of its type has.
func (c Column) own() map[string]any {
	switch c.Type {
	case "String", "Memo":
		return map[string]any{"MaxLength": c.MaxLength, "Format": "Text"}
	case "Decimal":
		return map[string]any{"Precision": c.Precision, "MinValue": -100000000000, "MaxValue": 100000000000}
	case "Money":
		return map[string]any{"Precision": c.Precision, "PrecisionSource": c.PrecisionSource, "MinValue": -922337203685477, "MaxValue": 922337203685477}
	case "DateTime":
		format := "DateAndTime"
		if c.Behavior == "DateOnly" {
			format = "DateOnly"
		}
		return map[string]any{"Format": format, "DateTimeBehavior": map[string]string{"Value": c.Behavior}}
	case "Double":
		return map[string]any{"Precision": c.Precision, "MinValue": 0, "MaxValue": 1000000000}
	case "Integer":
		return map[string]any{"Format": "None", "MinValue": -2147483648, "MaxValue": 2147483647}
	}
	return map[string]any{}
}

// chosen is what a $select leaves of a definition, whose MetadataId always comes.
// missing is a property that it does not have.
func chosen(of map[string]any, columns string) (out map[string]any, missing string) {
	if columns == "" {
		return of, ""
	}
	out = map[string]any{"MetadataId": of["MetadataId"]}
	for _, name := range strings.Split(columns, ",") {
		v, ok := of[name]
		if !ok {
			return nil, name
		}
		out[name] = v
	}
	return out, ""
}

var (
	expanded       = regexp.MustCompile(`^(\w+)(?:\(\$select=([\w,]+)\))?(?:,|$)`)
	attributesPath = regexp.MustCompile(`^EntityDefinitions\(LogicalName='(\w+)'\)/Attributes/Microsoft\.Dynamics\.CRM\.(\w+)AttributeMetadata$`)
	privilegesPath = regexp.MustCompile(`^systemusers\(([0-9a-fA-F-]{36})\)/Microsoft\.Dynamics\.CRM\.RetrieveUserSetOfPrivilegesByNames\(PrivilegeNames=(@\w+)\)$`)
)

// definitions serves EntityDefinitions and the user's privileges
// (docs/vendors.md#dataverse-definitions). It returns false for every other request. Any set is a
// table, as long as its name ends in s.
func (s *Sandbox) definitions(method, relative string, query url.Values, done func(int, any) answer, fail func(int, string, string) answer) (answer, bool) {
	d := s.options.Dataverse
	noProperty := func(name, kind string) (answer, bool) {
		return fail(http.StatusBadRequest, "0x80060888", fmt.Sprintf("Could not find a property named '%s' on type 'Microsoft.Dynamics.CRM.%s'.", name, kind)), true
	}
	attributes, privileges := attributesPath.FindStringSubmatch(relative), privilegesPath.FindStringSubmatch(relative)
	switch {
	case method != http.MethodGet:
		return answer{}, false
	case relative == "EntityDefinitions":
		column, values, ok := valuesOf(query.Get("$filter"))
		if !ok || column != "EntitySetName" || len(values) != 1 {
			return fail(http.StatusBadRequest, "0x80060888", "The query parameter $filter cannot be read."), true
		}
		set := values[0]
		if !strings.HasSuffix(set, "s") || !strings.Contains(set, "_") {
			return done(http.StatusOK, map[string]any{"value": []any{}}), true
		}
		all := map[string]any{
			"MetadataId": metadataID(set), "LogicalName": strings.TrimSuffix(set, "s"), "EntitySetName": set, "LogicalCollectionName": set,
			"PrimaryIdAttribute": primary(set), "OwnershipType": "UserOwned", "Privileges": tablePrivileges(set),
		}
		table, missing := chosen(all, query.Get("$select"))
		if missing != "" {
			return noProperty(missing, "EntityMetadata")
		}
		for rest := query.Get("$expand"); rest != ""; {
			m := expanded.FindStringSubmatch(rest)
			if m == nil {
				return fail(http.StatusBadRequest, "0x80060888", "The query parameter $expand cannot be read."), true
			}
			rest = rest[len(m[0]):]
			list, kind := d.keys(set), "EntityKeyMetadata"
			switch m[1] {
			case "Keys":
			case "Attributes":
				list, kind = nil, "AttributeMetadata"
				columns := d.columns(set)
				for _, name := range slices.Sorted(maps.Keys(columns)) {
					list = append(list, columns[name].common(set, name))
				}
			default:
				return noProperty(m[1], "EntityMetadata")
			}
			for i := range list {
				if list[i], missing = chosen(list[i], m[2]); missing != "" {
					return noProperty(missing, kind)
				}
			}
			table[m[1]] = list
		}
		return done(http.StatusOK, map[string]any{"@odata.context": "$metadata#EntityDefinitions", "value": []any{table}}), true
	case attributes != nil:
		set, kind := attributes[1]+"s", attributes[2]
		columns := d.columns(set)
		list := []any{}
		for _, name := range slices.Sorted(maps.Keys(columns)) {
			c := columns[name]
			if c.Type != kind {
				continue
			}
			all := c.common(set, name)
			maps.Copy(all, c.own())
			one, missing := chosen(all, query.Get("$select"))
			if missing != "" {
				return noProperty(missing, kind+"AttributeMetadata")
			}
			list = append(list, one)
		}
		return done(http.StatusOK, map[string]any{"value": list}), true
	case privileges != nil:
		var names []string
		if json.Unmarshal([]byte(query.Get(privileges[2])), &names) != nil {
			return fail(http.StatusBadRequest, "0x80048d19", "The parameter PrivilegeNames cannot be read."), true
		}
		list := []any{}
		for _, name := range names {
			if slices.ContainsFunc(d.Denied, func(kind string) bool { return strings.HasPrefix(name, "prv"+kind) }) {
				continue
			}
			list = append(list, map[string]any{
				"Depth": "Global", "PrivilegeId": metadataID(name), "BusinessUnitId": "b0000000-0000-4000-8000-000000000001", "PrivilegeName": name,
				"RecordFilterId": "00000000-0000-0000-0000-000000000000", "RecordFilterUniqueName": "",
			})
		}
		return done(http.StatusOK, map[string]any{
			"@odata.context": "$metadata#Microsoft.Dynamics.CRM.RetrieveUserSetOfPrivilegesByNamesResponse", "RolePrivileges": list,
		}), true
	}
	return answer{}, false
}

func tablePrivileges(set string) (list []map[string]any) {
	for _, kind := range []string{"Create", "Read", "Write", "Delete", "Assign", "Share", "Append", "AppendTo"} {
		name := privilegeName(kind, set)
		list = append(list, map[string]any{
			"CanBeBasic": true, "CanBeDeep": true, "CanBeGlobal": true, "CanBeLocal": true, "CanBeEntityReference": false, "CanBeParentEntityReference": false,
			"Name": name, "PrivilegeId": metadataID(name), "PrivilegeType": kind,
		})
	}
	return list
}

// lacks names the right that a request for rows needs and the user does not have.
// An upsert of a row that is not there creates it.
func (d Definition) lacks(method string, there bool) string {
	kind := map[string]string{http.MethodGet: "Read", http.MethodPost: "Create", http.MethodPatch: "Write", http.MethodDelete: "Delete"}[method]
	if method == http.MethodPatch && !there {
		kind = "Create"
	}
	if slices.Contains(d.Denied, kind) {
		return kind
	}
	return ""
}
