package sandbox

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	companyPath    = regexp.MustCompile(`^companies\(([^)]*)\)$`)
	dimensionsPath = regexp.MustCompile(`^companies\(([^)]*)\)/dimensions$`)
	journalPath    = regexp.MustCompile(`^companies\(([^)]*)\)/journals\(([^)]*)\)$`)
)

// company is the one that there is, as the API v2.0 shows it.
var company = map[string]string{
	"id": DemoCompanyID, "systemVersion": "27.0.00000.0", "timestamp": "1", "name": "Sandbox", "displayName": "Sandbox Ltd", "businessProfileId": "",
	"systemCreatedAt": "2026-01-02T03:04:05.000Z", "systemModifiedAt": "2026-01-02T03:04:05.000Z",
}

// described serves the company, its journals and dimensions, and $metadata. It returns false for
// every other request.
func (s *Sandbox) described(method, relative string, query url.Values) (answer, bool) {
	show := func(kind string, all map[string]string) answer {
		out := map[string]any{}
		for name, v := range all {
			out[name] = v
		}
		if columns := query.Get("$select"); columns != "" {
			picked := map[string]any{}
			for _, name := range strings.Split(columns, ",") {
				v, ok := out[name]
				if !ok {
					return noColumn(name, kind)
				}
				picked[name] = v
			}
			out = picked
		}
		out["@odata.etag"] = `W/"JzE5OzE7MDAwOyc="`
		return bcDone(http.StatusOK, out)
	}
	found := func(id string) bool { return strings.EqualFold(id, DemoCompanyID) }
	dimensions := dimensionsPath.FindStringSubmatch(relative)
	one, journal := companyPath.FindStringSubmatch(relative), journalPath.FindStringSubmatch(relative)
	switch {
	case method != http.MethodGet:
		return answer{}, false
	case relative == "$metadata":
		return answer{http.StatusOK, http.Header{"Content-Type": {"application/xml"}, "Odata-Version": {"4.0"}}, []byte(edmx())}, true
	case one != nil && found(one[1]):
		return show("company", company), true
	case one != nil, journal != nil && !found(journal[1]), dimensions != nil && !found(dimensions[1]):
		return bcError(http.StatusNotFound, "Internal_CompanyNotFound", "Cannot process the request because the company cannot be found."), true
	case dimensions != nil:
		column, asked, ok := valuesOf(query.Get("$filter"))
		if !ok || column != "code" || query.Get("$select") != "code" {
			return bcError(http.StatusBadRequest, "BadRequest", "The filter cannot be read."), true
		}
		list := []any{}
		for _, code := range asked {
			if code = strings.ToUpper(code); s.options.Dimensions == nil || slices.Contains(s.options.Dimensions, code) {
				list = append(list, map[string]string{"code": code})
			}
		}
		return bcDone(http.StatusOK, map[string]any{"@odata.count": len(list), "value": list}), true
	case journal != nil:
		j := s.journals[strings.ToLower(journal[2])]
		if j == nil {
			return bcError(http.StatusNotFound, "Internal_RecordNotFound", "The journal does not exist."), true
		}
		return show("journal", map[string]string{
			"id": strings.ToLower(journal[2]), "code": j.code, "displayName": "Ledgerline", "templateDisplayName": "GENERAL",
			"lastModifiedDateTime": "2026-01-02T03:04:05.000Z", "balancingAccountId": "00000000-0000-0000-0000-000000000000",
			"balancingAccountNumber": s.options.BalancingAccount,
		}), true
	}
	return answer{}, false
}

// property is one of an entity type. length is that of a text.
type property struct {
	name, edm string
	length    int
}

// entityTypes are those of the API v2.0 that exports have to do with, and company.
// The columns are those of its pages; lengths are those of the fields below them.
var entityTypes = []struct {
	name, set  string
	properties []property
	navigation map[string]string
}{
	{"company", "companies", []property{
		{"id", "Edm.Guid", 0}, {"systemVersion", "Edm.String", 250}, {"timestamp", "Edm.Int64", 0}, {"name", "Edm.String", 30}, {"displayName", "Edm.String", 250},
		{"businessProfileId", "Edm.String", 250}, {"systemCreatedAt", "Edm.DateTimeOffset", 0}, {"systemModifiedAt", "Edm.DateTimeOffset", 0},
	}, map[string]string{"journals": "journal", "generalLedgerEntries": "generalLedgerEntry"}},
	{"journal", "journals", []property{
		{"id", "Edm.Guid", 0}, {"code", "Edm.String", 10}, {"displayName", "Edm.String", 100}, {"templateDisplayName", "Edm.String", 10},
		{"lastModifiedDateTime", "Edm.DateTimeOffset", 0}, {"balancingAccountId", "Edm.Guid", 0}, {"balancingAccountNumber", "Edm.String", 20},
	}, map[string]string{"journalLines": "journalLine"}},
	{"journalLine", "journalLines", []property{
		{"id", "Edm.Guid", 0}, {"journalId", "Edm.Guid", 0}, {"journalDisplayName", "Edm.String", 10}, {"lineNumber", "Edm.Int32", 0},
		{"accountType", "Microsoft.NAV.genJournalAccountType", 0}, {"accountId", "Edm.Guid", 0}, {"accountNumber", "Edm.String", 20}, {"postingDate", "Edm.Date", 0},
		{"documentNumber", "Edm.String", 20}, {"externalDocumentNumber", "Edm.String", 35}, {"amount", "Edm.Decimal", 0}, {"description", "Edm.String", 100},
		{"comment", "Edm.String", 250}, {"taxCode", "Edm.String", 50}, {"balanceAccountType", "Microsoft.NAV.genJournalAccountType", 0},
		{"balancingAccountId", "Edm.Guid", 0}, {"balancingAccountNumber", "Edm.String", 20}, {"lastModifiedDateTime", "Edm.DateTimeOffset", 0},
	}, map[string]string{"dimensionSetLines": "dimensionSetLine"}},
	{"generalLedgerEntry", "generalLedgerEntries", []property{
		{"id", "Edm.Guid", 0}, {"entryNumber", "Edm.Int32", 0}, {"postingDate", "Edm.Date", 0}, {"documentNumber", "Edm.String", 20},
		{"documentType", "Microsoft.NAV.genJournalDocumentType", 0}, {"accountId", "Edm.Guid", 0}, {"accountNumber", "Edm.String", 20}, {"description", "Edm.String", 100},
		{"debitAmount", "Edm.Decimal", 0}, {"creditAmount", "Edm.Decimal", 0}, {"additionalCurrencyDebitAmount", "Edm.Decimal", 0},
		{"additionalCurrencyCreditAmount", "Edm.Decimal", 0}, {"lastModifiedDateTime", "Edm.DateTimeOffset", 0},
	}, map[string]string{"dimensionSetLines": "dimensionSetLine"}},
	{"dimensionSetLine", "dimensionSetLines", []property{
		{"id", "Edm.Guid", 0}, {"code", "Edm.String", 20}, {"parentId", "Edm.Guid", 0}, {"displayName", "Edm.String", 30}, {"valueId", "Edm.Guid", 0},
		{"valueCode", "Edm.String", 20}, {"valueDisplayName", "Edm.String", 50},
	}, nil},
}

// edmx is the service's metadata document (OData CSDL 4.0, XML).
func edmx() string {
	var b strings.Builder
	b.WriteString(xml.Header + `<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>` +
		`<Schema Namespace="Microsoft.NAV" xmlns="http://docs.oasis-open.org/odata/ns/edm">`)
	for _, t := range entityTypes {
		fmt.Fprintf(&b, `<EntityType Name="%s"><Key><PropertyRef Name="id" /></Key>`, t.name)
		for _, p := range t.properties {
			fmt.Fprintf(&b, `<Property Name="%s" Type="%s"`, p.name, p.edm)
			switch {
			case p.name == "id":
				b.WriteString(` Nullable="false"`)
			case p.length > 0:
				fmt.Fprintf(&b, ` MaxLength="%d"`, p.length)
			case p.edm == "Edm.Decimal":
				b.WriteString(` Scale="Variable"`)
			}
			fmt.Fprintf(&b, `><Annotation Term="Microsoft.NAV.AllowEdit" Bool="%t" /></Property>`, p.name != "id")
		}
		for name, of := range t.navigation {
			fmt.Fprintf(&b, `<NavigationProperty Name="%s" Type="Collection(Microsoft.NAV.%s)" ContainsTarget="true" />`, name, of)
		}
		b.WriteString(`</EntityType>`)
	}
	b.WriteString(`<EnumType Name="genJournalAccountType"><Member Name="G_x002F_L_x0020_Account" Value="0" /></EnumType>` +
		`<Action Name="post" IsBound="true"><Parameter Name="bindingParameter" Type="Microsoft.NAV.journal" /></Action><EntityContainer Name="NAV">`)
	for _, t := range entityTypes {
		fmt.Fprintf(&b, `<EntitySet Name="%s" EntityType="Microsoft.NAV.%s" />`, t.set, t.name)
	}
	b.WriteString(`</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>`)
	return b.String()
}
