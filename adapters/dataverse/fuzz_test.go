package dataverse

import (
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/adapters"
)

// FuzzBodies: no answer to a batch makes its reader fail otherwise than with
// words.
func FuzzBodies(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"value\":[]}\r\n--b--"), "multipart/mixed; boundary=b")
	f.Add([]byte("--b\r\n\r\nnonsense\r\n--b--"), "multipart/mixed; boundary=b")
	f.Add([]byte("--b"), "multipart/mixed; boundary=b")
	f.Add([]byte(`{}`), "application/json")
	f.Fuzz(func(t *testing.T, answer []byte, contentType string) {
		if out, err := bodies(answer, contentType); err != nil && out != nil {
			t.Errorf("%v, and %d bodies", err, len(out))
		}
	})
}

// FuzzEntityIDs: what is taken for a row's name is a GUID and belongs to a part.
func FuzzEntityIDs(f *testing.F) {
	f.Add("--c\r\nContent-ID: 1\r\n\r\nHTTP/1.1 204 No Content\r\nOData-EntityId: https://x/acme_lines(00000000-0000-4000-8000-000000000001)\r\n\r\n--c--")
	f.Add("OData-EntityId: (00000000-0000-4000-8000-000000000001)")
	f.Add("Content-ID: 1\nOData-EntityId: )")
	f.Fuzz(func(t *testing.T, answer string) {
		for n, id := range entityIDs(answer) {
			if n <= 0 || !guid().MatchString(id) {
				t.Errorf("part %d is %q", n, id)
			}
		}
	})
}

// FuzzDefinitions: what is read of a table's definition can be put into an address,
// and no definition makes a check fail.
func FuzzDefinitions(f *testing.F) {
	f.Add([]byte(`{"value":[{"LogicalName":"acme_ledgerline","EntitySetName":"acme_ledgerlines","MetadataId":"m","Attributes":[` +
		`{"LogicalName":"acme_key","AttributeType":"String","IsValidForCreate":true,"IsValidForUpdate":true,"IsSecured":false}],` +
		`"Keys":[{"KeyAttributes":["acme_key"],"EntityKeyIndexStatus":"Active"}],"Privileges":[{"Name":"prvCreateacme","PrivilegeId":"p","PrivilegeType":"Create"}]}]}`))
	f.Add([]byte(`{"value":[{"LogicalName":"x')/y","EntitySetName":"a","Attributes":[]}]}`))
	f.Add([]byte(`{"value":[{"LogicalName":"a","EntitySetName":"acme_ledgerlines","Attributes":[{}],"Keys":[{"KeyAttributes":null}]}]}`))
	f.Add([]byte(`{"value":[]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		tables, err := readDefinitions(body)
		if err != nil && tables != nil {
			t.Errorf("%v, and %d tables", err, len(tables))
		}
		for _, table := range tables {
			if strings.ContainsAny(table.LogicalName, "'/?#&() ") || table.LogicalName == "" {
				t.Errorf("%q would be put into an address", table.LogicalName)
			}
			v := verification{contract: &adapters.Contract{}, set: "acme_ledgerlines", prefix: "acme_", table: table}
			v.alternateKey()
			for _, suffix := range columns {
				v.contract.Checks = append(v.contract.Checks, v.column(suffix, table.column("acme_"+suffix), detail{}))
			}
			for _, c := range v.contract.Checks {
				if c.State == "" || c.State == adapters.Checked && c.What == "" {
					t.Errorf("%v is checked without a definition of its type", c)
				}
			}
			_, _ = table.privilege("Create"), table.privilege("Write")
		}
	})
}

// FuzzDetails: a column passes only with what its type must have.
func FuzzDetails(f *testing.F) {
	for _, s := range []string{
		`{"value":[{"LogicalName":"acme_key","MaxLength":32}]}`, `{"value":[{"LogicalName":"acme_amount","Precision":2,"MinValue":-1e11,"MaxValue":1e11}]}`,
		`{"value":[{"LogicalName":"acme_amount","Precision":4,"PrecisionSource":2}]}`, `{"value":[{"LogicalName":"acme_date","DateTimeBehavior":{"Value":"DateOnly"}}]}`,
		`{"value":[{"LogicalName":"acme_date","DateTimeBehavior":null}]}`, `{"value":null}`, `{"value":[null]}`, `[]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := readDetails(body)
		if err != nil && list != nil {
			t.Errorf("%v, and %d columns", err, len(list))
		}
		for _, d := range list {
			if d.judge(ruleOf(keyColumn), "String").State == adapters.Checked && *d.MaxLength < keyLength {
				t.Errorf("a key of %d characters passes", *d.MaxLength)
			}
			if d.judge(ruleOf("amount"), "Decimal").State == adapters.Checked && *d.Precision < 2 {
				t.Errorf("an amount of %d places passes", *d.Precision)
			}
			if d.judge(ruleOf("date"), "DateTime").State == adapters.Checked && d.behavior() != "DateOnly" {
				t.Errorf("a date with %q passes", d.behavior())
			}
			for kind := range typed {
				if d.describe(kind) == "" {
					t.Error("nothing is said")
				}
			}
		}
	})
}

// FuzzPrivileges: who is read of WhoAmI can be put into an address, and a right is
// held only if it was named.
func FuzzPrivileges(f *testing.F) {
	f.Add([]byte(`{"RolePrivileges":[{"Depth":"Global","PrivilegeId":"p","PrivilegeName":"prvCreateacme_ledgerline"}]}`))
	f.Add([]byte(`{"UserId":"b0000000-0000-4000-8000-000000000002"}`))
	f.Add([]byte(`{"UserId":"x')/Microsoft","RolePrivileges":[{}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if user := userOf(body); user != "" && !guid().MatchString(user) {
			t.Errorf("%q would be put into an address", user)
		}
		held, err := readPrivileges(body)
		if err != nil && held != nil {
			t.Errorf("%v, and %d privileges", err, len(held))
		}
		needed := privilege{Name: "prvCreateacme_ledgerline", PrivilegeID: "p"}
		for _, h := range held {
			if needed.is(h) && !strings.EqualFold(h.PrivilegeID, "p") && !strings.EqualFold(h.PrivilegeName, needed.Name) {
				t.Errorf("%v is taken for %v", h, needed)
			}
		}
	})
}
