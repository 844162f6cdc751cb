package adapters_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/dataverse"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/limits"
)

// verifyOData asks a vendor, and checks what holds of every verification: each request
// is a GET, counted as a look-up, and nothing is stored.
func verifyOData(t *testing.T, b books, c *adapters.Conn, w adapters.Requirements) (adapters.Contract, classify.Verdict) {
	t.Helper()
	counted, before := map[limits.Purpose]int{}, b.asked(b.name)
	c.Count = func(p limits.Purpose) { counted[p]++ }
	contract, v := b.Exporter.(adapters.Verifier).Verify(t.Context(), c, w)
	for _, r := range b.received(b.name) {
		require.Equal(t, http.MethodGet, r.Method)
	}
	asked := b.asked(b.name) - before
	if v.Class == classify.Success {
		require.Equal(t, asked, counted[limits.Lookup])
	} // else net/http may have repeated a GET over a fresh connection
	require.LessOrEqual(t, counted[limits.Lookup], 9, "each request counts against a quota; one may be made again with a fresh token")
	require.Empty(t, b.Effects())
	require.Empty(t, v.Effect)
	require.Empty(t, c.Purpose, "the connection is as it was")
	if v.Class != classify.Success {
		require.Empty(t, contract.Checks, "a half of it must not be taken for the whole")
	}
	require.Empty(t, contract.Learned)
	for _, check := range contract.Checks {
		require.NotEmpty(t, check.What)
		require.NotEmpty(t, check.Found, check.What)
		require.False(t, check.State == adapters.Differs && check.Remedy == "", check.What)
		require.False(t, check.State == adapters.Checked && check.Remedy != "", check.What)
	}
	return contract, v
}

// verifiedOData is the contract of a vendor that could be asked.
func verifiedOData(t *testing.T, b books, dimensions ...string) adapters.Contract {
	t.Helper()
	contract, v := verifyOData(t, b, b.conn(), adapters.Requirements{Dimensions: dimensions})
	require.Equal(t, classify.Success, v.Class, v.Message)
	return contract
}

// checkOf is the check of a contract with a name, which must be in it once.
func checkOf(t *testing.T, contract adapters.Contract, what string) adapters.Check {
	t.Helper()
	var found []adapters.Check
	for _, c := range contract.Checks {
		if c.What == what {
			found = append(found, c)
		}
	}
	require.Len(t, found, 1, "%s in %v", what, contract.Checks)
	return found[0]
}

// requireOneDiffers asserts that one thing differs, and that it is this one.
func requireOneDiffers(t *testing.T, contract adapters.Contract, want adapters.Check) {
	t.Helper()
	require.Equal(t, []adapters.Check{want}, contract.Differing())
}

const dataverseRole = "give the application user a role that may read, create and write acme_ledgerlines"

// The sandbox has the table that docs/vendors.md asks for.
func TestVerifyDataverse(t *testing.T) {
	b := newBooks(t, dataverse.Name)
	contract := verifiedOData(t, b, "department", "project")
	checked := func(what, found string) adapters.Check {
		return adapters.Check{What: what, State: adapters.Checked, Found: found}
	}
	require.Equal(t, []adapters.Check{
		checked("token", "accepted"),
		checked("look-up in acme_ledgerlines", "a key that is not there finds nothing"),
		checked("table acme_ledgerlines", "logical name acme_ledgerline"),
		checked("column acme_key", "type String, 32 characters"),
		checked("column acme_voucher", "type String, 100 characters"),
		checked("column acme_date", "type DateTime, behaviour DateOnly"),
		checked("column acme_account", "type String, 100 characters"),
		checked("column acme_amount", "type Decimal, 2 decimal places, from -100000000000 to 100000000000"),
		checked("column acme_currency", "type String, 3 characters"),
		checked("column acme_text", "type Memo, 2000 characters"),
		checked("column acme_department", "type String, 100 characters"),
		checked("column acme_project", "type String, 100 characters"),
		checked("alternate key on acme_key", "index Active"),
		checked("right to create rows in acme_ledgerlines", "privilege prvCreateacme_ledgerline"),
		checked("right to change rows in acme_ledgerlines", "privilege prvWriteacme_ledgerline"),
	}, contract.Checks)
	require.Equal(t, 8, b.asked(dataverse.Name))

	for _, r := range b.received(dataverse.Name) {
		require.Equal(t, "Strong", r.Header.Get("Consistency"), "what was changed a moment ago shows")
	}
}

func TestVerifyDataverseTable(t *testing.T) {
	cases := map[string]struct {
		table sandbox.Definition
		want  adapters.Check
	}{
		"no alternate key": {sandbox.Definition{Key: sandbox.NoKey}, adapters.Check{
			What: "alternate key on acme_key", State: adapters.Differs, Found: "the table has no alternate key that consists of this column alone",
			Remedy: "add an alternate key that consists of acme_key alone",
		}},
		"a key of two columns": {sandbox.Definition{Key: sandbox.WideKey}, adapters.Check{
			What: "alternate key on acme_key", State: adapters.Differs, Found: "the table has no alternate key that consists of this column alone",
			Remedy: "add an alternate key that consists of acme_key alone",
		}},
		"key pending": {sandbox.Definition{Key: "Pending"}, adapters.Check{
			What: "alternate key on acme_key", State: adapters.Differs, Found: "index Pending", Remedy: "wait until the vendor has built the index: the key must be Active",
		}},
		"key in progress": {sandbox.Definition{Key: "InProgress"}, adapters.Check{
			What: "alternate key on acme_key", State: adapters.Differs, Found: "index InProgress", Remedy: "wait until the vendor has built the index: the key must be Active",
		}},
		"key failed": {sandbox.Definition{Key: "Failed"}, adapters.Check{
			What: "alternate key on acme_key", State: adapters.Differs, Found: "index Failed",
			Remedy: "see why the system job of the key failed, such as rows with the same key, and reactivate the key",
		}},
		"column missing": {sandbox.Definition{Columns: map[string]sandbox.Column{"acme_voucher": {}}}, adapters.Check{
			What: "column acme_voucher", State: adapters.Differs, Found: "the table has no such column",
			Remedy: "add the column: single line of text, as long as your values are",
		}},
		"dimension missing": {sandbox.Definition{Columns: map[string]sandbox.Column{"acme_project": {}}}, adapters.Check{
			What: "column acme_project", State: adapters.Differs, Found: "the table has no such column",
			Remedy: "add the column: single line of text, as long as your values are",
		}},
		"amount as text": {sandbox.Definition{Columns: map[string]sandbox.Column{"acme_amount": {Type: "String", MaxLength: 20}}}, adapters.Check{
			What: "column acme_amount", State: adapters.Differs, Found: "type String, 20 characters", Remedy: "make it decimal with two places",
		}},
		"amount as float": {sandbox.Definition{Columns: map[string]sandbox.Column{"acme_amount": {Type: "Double", Precision: 2}}}, adapters.Check{
			What: "column acme_amount", State: adapters.Differs, Found: "type Double", Remedy: "make it decimal with two places",
		}},
		"amount with one place": {sandbox.Definition{Columns: map[string]sandbox.Column{"acme_amount": {Type: "Decimal", Precision: 1}}}, adapters.Check{
			What: "column acme_amount", State: adapters.Differs, Found: "type Decimal, 1 decimal places, from -100000000000 to 100000000000", Remedy: "make it decimal with two places",
		}},
		"date as text": {sandbox.Definition{Columns: map[string]sandbox.Column{"acme_date": {Type: "String", MaxLength: 10}}}, adapters.Check{
			What: "column acme_date", State: adapters.Differs, Found: "type String, 10 characters", Remedy: "make it date only",
		}},
		"key too short": {sandbox.Definition{Columns: map[string]sandbox.Column{"acme_key": {Type: "String", MaxLength: 31}}}, adapters.Check{
			What: "column acme_key", State: adapters.Differs, Found: "type String, 31 characters", Remedy: "make it single line of text, 32 characters",
		}},
		"key of many lines": {sandbox.Definition{Columns: map[string]sandbox.Column{"acme_key": {Type: "Memo", MaxLength: 2000}}}, adapters.Check{
			What: "column acme_key", State: adapters.Differs, Found: "type Memo, 2000 characters", Remedy: "make it single line of text, 32 characters",
		}},
		"account a number": {sandbox.Definition{Columns: map[string]sandbox.Column{"acme_account": {Type: "Integer"}}}, adapters.Check{
			What: "column acme_account", State: adapters.Differs, Found: "type Integer", Remedy: "make it single line of text, as long as your values are",
		}},
		"calculated": {sandbox.Definition{Columns: map[string]sandbox.Column{"acme_text": {Type: "String", MaxLength: 100, ReadOnly: true}}}, adapters.Check{
			What: "column acme_text", State: adapters.Differs, Found: "type String, 100 characters, and what is written to it is ignored",
			Remedy: "make it an ordinary column: single line of text, as long as your values are, neither calculated nor read-only",
		}},
		"may not create": {sandbox.Definition{Denied: []string{"Create"}}, adapters.Check{
			What: "right to create rows in acme_ledgerlines", State: adapters.Differs, Found: "privilege prvCreateacme_ledgerline is missing", Remedy: dataverseRole,
		}},
		"may not write": {sandbox.Definition{Denied: []string{"Write"}}, adapters.Check{
			What: "right to change rows in acme_ledgerlines", State: adapters.Differs, Found: "privilege prvWriteacme_ledgerline is missing", Remedy: dataverseRole,
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, dataverse.Name, sandbox.Options{Dataverse: c.table})
			requireOneDiffers(t, verifiedOData(t, b, "project"), c.want)
		})
	}
}

// What the vendor shows and what is not documented to be refused is for a person
// to look at.
func TestVerifyDataverseDoubts(t *testing.T) {
	cases := map[string]struct {
		column sandbox.Column
		want   adapters.Check
	}{
		"acme_date": {sandbox.Column{Type: "DateTime", Behavior: "UserLocal"}, adapters.Check{
			Found:  "type DateTime, behaviour UserLocal",
			Remedy: "make its behaviour (time zone adjustment) Date only: with any other one, a date can show as the day before",
		}},
		"acme_amount": {sandbox.Column{Type: "Money", Precision: 4, PrecisionSource: 2}, adapters.Check{
			Found:  "type Money, as many decimal places as the currency has",
			Remedy: "see that the currency of the rows has two decimal places, or make it decimal with two places",
		}},
		"acme_account": {sandbox.Column{Type: "String", MaxLength: 50, Secured: true}, adapters.Check{
			Found: "type String, 50 characters, with column security", Remedy: "give the application user a column security profile that may read, create and update it",
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, dataverse.Name, sandbox.Options{Dataverse: sandbox.Definition{Columns: map[string]sandbox.Column{name: c.column}}})
			contract := verifiedOData(t, b)
			require.Empty(t, contract.Differing())
			c.want.What, c.want.State = "column "+name, adapters.Assumed
			require.Equal(t, c.want, checkOf(t, contract, "column "+name))
		})
	}
	t.Run("places of a money column's own", func(t *testing.T) {
		b := newBooks(t, dataverse.Name, sandbox.Options{Dataverse: sandbox.Definition{Columns: map[string]sandbox.Column{"acme_amount": {Type: "Money", Precision: 2}}}})
		require.Equal(t, adapters.Checked, checkOf(t, verifiedOData(t, b), "column acme_amount").State)
	})
	t.Run("a column that an app requires", func(t *testing.T) { // Dataverse does not enforce it
		b := newBooks(t, dataverse.Name, sandbox.Options{Dataverse: sandbox.Definition{Columns: map[string]sandbox.Column{
			"acme_approver": {Type: "String", MaxLength: 100, Required: "ApplicationRequired"},
		}}})
		require.Empty(t, verifiedOData(t, b).Differing())
	})
	t.Run("a dimension with a name of no column", func(t *testing.T) {
		contract := verifiedOData(t, newBooks(t, dataverse.Name), "Cost Centre", "amount")
		require.Equal(t, []adapters.Check{
			{What: "column acme_Cost Centre", State: adapters.Differs, Found: "a dimension cannot have the name Cost Centre",
				Remedy: "send the dimension to another name: lower-case letters, digits and underscores, and none of key, voucher, date, account, amount, currency, text"},
			{What: "column acme_amount", State: adapters.Differs, Found: "a dimension cannot have the name amount",
				Remedy: "send the dimension to another name: lower-case letters, digits and underscores, and none of key, voucher, date, account, amount, currency, text"},
		}, contract.Differing())
	})
}

// missingRight is how Dataverse refuses.
const missingRight = `{"error":{"code":"0x80040220","message":"SecLib::AccessCheckEx failed."}}`

func TestVerifyDataverseRights(t *testing.T) {
	t.Run("to the table", func(t *testing.T) {
		b := newBooks(t, dataverse.Name, sandbox.Options{Dataverse: sandbox.Definition{Denied: []string{"Read"}}})
		contract := verifiedOData(t, b)
		want := checkOf(t, contract, "right to read acme_ledgerlines")
		require.Contains(t, want.Found, "HTTP 403: 0x80040220: ")
		require.Contains(t, want.Found, "is missing prvReadacme_ledgerline privilege")
		requireOneDiffers(t, contract, adapters.Check{What: "right to read acme_ledgerlines", State: adapters.Differs, Found: want.Found, Remedy: dataverseRole})
		require.Equal(t, adapters.Checked, checkOf(t, contract, "alternate key on acme_key").State)
	})
	t.Run("to the definitions", func(t *testing.T) {
		b := newBooks(t, dataverse.Name)
		b.Script(sandbox.Rule{Match: sandbox.Match{PathContains: "/EntityDefinitions"}, Status: http.StatusForbidden, Body: missingRight})
		const remedy = "check settings.table, and give the application user a role that may read the definitions of tables, columns and keys; or compare them with docs/vendors.md by hand"
		const said = "HTTP 403: 0x80040220: SecLib::AccessCheckEx failed."
		require.Equal(t, []adapters.Check{
			{What: "token", State: adapters.Checked, Found: "accepted"},
			{What: "look-up in acme_ledgerlines", State: adapters.Checked, Found: "a key that is not there finds nothing"},
			{What: "columns of acme_ledgerlines", State: adapters.Assumed, Found: said, Remedy: remedy},
			{What: "alternate key on acme_key", State: adapters.Assumed, Found: said, Remedy: remedy},
			{What: "right to create rows in acme_ledgerlines", State: adapters.Assumed, Found: "the vendor does not show it", Remedy: dataverseRole},
			{What: "right to change rows in acme_ledgerlines", State: adapters.Assumed, Found: "the vendor does not show it", Remedy: dataverseRole},
		}, verifiedOData(t, b, "project").Checks)
	})
	t.Run("to the definitions of columns of a type", func(t *testing.T) {
		b := newBooks(t, dataverse.Name)
		b.Script(sandbox.Rule{Match: sandbox.Match{PathContains: "DecimalAttributeMetadata"}, Status: http.StatusForbidden, Body: missingRight})
		contract := verifiedOData(t, b)
		require.Empty(t, contract.Differing())
		require.Equal(t, adapters.Check{What: "column acme_amount", State: adapters.Assumed, Found: "type Decimal", Remedy: "see that it is decimal with two places"},
			checkOf(t, contract, "column acme_amount"))
	})
	t.Run("to the user's own privileges", func(t *testing.T) {
		b := newBooks(t, dataverse.Name)
		b.Script(sandbox.Rule{Match: sandbox.Match{PathContains: "systemusers("}, Status: http.StatusForbidden, Body: missingRight})
		contract := verifiedOData(t, b)
		require.Empty(t, contract.Differing())
		require.Equal(t, adapters.Check{What: "right to create rows in acme_ledgerlines", State: adapters.Assumed,
			Found: "HTTP 403: 0x80040220: SecLib::AccessCheckEx failed.", Remedy: dataverseRole}, checkOf(t, contract, "right to create rows in acme_ledgerlines"))
	})
	t.Run("no application user", func(t *testing.T) {
		b := newBooks(t, dataverse.Name)
		b.Script(sandbox.Rule{Match: sandbox.Match{Operation: "WhoAmI"}, Status: http.StatusForbidden,
			Body: `{"error":{"code":"0x80072560","message":"The user is not a member of the organization."}}`})
		require.Equal(t, []adapters.Check{{What: "token", State: adapters.Differs, Found: "HTTP 403: 0x80072560: The user is not a member of the organization.",
			Remedy: "add the application as an application user of the environment, in the Power Platform admin center, and give it a role"}}, verifiedOData(t, b).Checks)
	})
	t.Run("a vendor that does not know the query", func(t *testing.T) {
		b := newBooks(t, dataverse.Name)
		b.Script(sandbox.Rule{Match: sandbox.Match{Operation: "EntityDefinitions"}, Status: http.StatusBadRequest,
			Body: `{"error":{"code":"0x80060888","message":"Query option $expand is not supported."}}`})
		contract := verifiedOData(t, b)
		require.Empty(t, contract.Differing())
		require.Equal(t, "HTTP 400: 0x80060888: Query option $expand is not supported.", checkOf(t, contract, "alternate key on acme_key").Found)
	})
}

func TestVerifyDataverseWrongTable(t *testing.T) {
	b := newBooks(t, dataverse.Name)
	b.Script(sandbox.Rule{Match: sandbox.Match{Operation: "acme_ledgerline"}, Status: http.StatusNotFound,
		Body: `{"error":{"code":"0x8006088a","message":"Resource not found for the segment 'acme_ledgerline'."}}`})
	c := b.conn()
	c.Settings["table"] = "acme_ledgerline" // its logical name
	contract, v := verifyOData(t, b, c, adapters.Requirements{})
	require.Equal(t, classify.Success, v.Class, v.Message)
	requireOneDiffers(t, contract, adapters.Check{What: "table acme_ledgerline", State: adapters.Differs,
		Found:  "HTTP 404: 0x8006088a: Resource not found for the segment 'acme_ledgerline'.",
		Remedy: "correct settings.table: it is the entity set name of the table, such as acme_ledgerlines, and neither its logical nor its display name"})
	require.Len(t, contract.Checks, 2, "of a table that is not there nothing else can be said")
}
