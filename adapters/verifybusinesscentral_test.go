package adapters_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/businesscentral"
	"github.com/ledgerline/ledgerline/adapters/dataverse"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

const businessCentralBase = "check the integration's baseURL: it must be that of the API v2.0"

// The sandbox is as the vendor's reference describes the API.
func TestVerifyBusinessCentral(t *testing.T) {
	b := newBooks(t, businesscentral.Name)
	contract := verifiedOData(t, b, "AVD", "PROJECT")
	checked := func(what, found string) adapters.Check {
		return adapters.Check{What: what, State: adapters.Checked, Found: found}
	}
	require.Equal(t, []adapters.Check{
		checked("token", "accepted"),
		checked("company "+sandbox.DemoCompanyID, "name Sandbox"),
		checked("journal "+sandbox.DemoJournalID, "code LEDGER"),
		{What: "document numbers when the journal is posted", State: adapters.Assumed, Found: "Business Central does not show the journal's number series",
			Remedy: "leave Posting No. Series of journal LEDGER empty: posted lines are found by the document number that was sent"},
		checked("look-up in the journal's lines", "can be read; a number that is not there finds nothing"),
		checked("general ledger", "can be read; a number that is not there finds nothing"),
		checked("dimension AVD", "the company has it"),
		checked("dimension PROJECT", "the company has it"),
		checked("field accountNumber", "type Edm.String, 20 characters"),
		checked("field postingDate", "type Edm.Date"),
		checked("field documentNumber", "type Edm.String, 20 characters"),
		checked("field externalDocumentNumber", "type Edm.String, 35 characters"),
		checked("field amount", "type Edm.Decimal"),
		checked("field description", "type Edm.String, 100 characters"),
		checked("field dimensionSetLines", "type Collection(Microsoft.NAV.dimensionSetLine)"),
		{What: "right to add journal lines", State: adapters.Assumed, Found: "Business Central shows it only when something is written",
			Remedy: "see that the application has a permission set that may insert general journal lines (table 81, Gen. Journal Line)"},
	}, contract.Checks)
	require.Equal(t, 6, b.asked(businesscentral.Name))
}

func TestVerifyBusinessCentralDimensions(t *testing.T) {
	b := newBooks(t, businesscentral.Name, sandbox.Options{Dimensions: []string{"AVD"}})
	contract := verifiedOData(t, b, "PROJECT", "avd")
	requireOneDiffers(t, contract, adapters.Check{What: "dimension PROJECT", State: adapters.Differs, Found: "the company has no dimension with this code",
		Remedy: "add the dimension, or send this one to another code"})
	require.Equal(t, adapters.Check{What: "dimension avd", State: adapters.Checked, Found: "the company has it"}, checkOf(t, contract, "dimension avd"))

	b.Script(sandbox.Rule{Match: sandbox.Match{Operation: "dimensions"}, Status: http.StatusForbidden, Body: `{"error":{"code":"Authorization_AccessDenied","message":"no"}}`})
	contract = verifiedOData(t, b, "PROJECT")
	require.Empty(t, contract.Differing())
	require.Equal(t, adapters.Check{What: "dimension PROJECT", State: adapters.Assumed, Found: "HTTP 403: Authorization_AccessDenied: no",
		Remedy: "see that the company has a dimension with the code PROJECT"}, checkOf(t, contract, "dimension PROJECT"))
}

func TestVerifyBusinessCentralSettings(t *testing.T) {
	const other = "99999999-9999-4999-8999-999999999999"
	t.Run("wrong company", func(t *testing.T) {
		b := newBooks(t, businesscentral.Name)
		c := b.conn()
		c.Settings["companyId"] = other
		contract, v := verifyOData(t, b, c, adapters.Requirements{})
		require.Equal(t, classify.Success, v.Class, v.Message)
		requireOneDiffers(t, contract, adapters.Check{What: "company " + other, State: adapters.Differs,
			Found: "not there; there are Sandbox (" + sandbox.DemoCompanyID + ")", Remedy: "correct settings.companyId"})
		require.Len(t, contract.Checks, 2)
	})
	t.Run("a company that is not listed", func(t *testing.T) {
		b := newBooks(t, businesscentral.Name)
		b.Script(sandbox.Rule{Match: sandbox.Match{Operation: "companies"}, Status: http.StatusOK, Body: `{"value":[]}`})
		contract := verifiedOData(t, b)
		require.Empty(t, contract.Differing())
		require.Equal(t, "name Sandbox", checkOf(t, contract, "company "+sandbox.DemoCompanyID).Found)
	})
	t.Run("IDs in capitals", func(t *testing.T) {
		b := newBooks(t, businesscentral.Name)
		c := b.conn()
		c.Settings["companyId"] = strings.ToUpper(sandbox.DemoCompanyID)
		contract, v := verifyOData(t, b, c, adapters.Requirements{})
		require.Equal(t, classify.Success, v.Class, v.Message)
		require.Empty(t, contract.Differing())
	})
	t.Run("wrong journal", func(t *testing.T) {
		b := newBooks(t, businesscentral.Name)
		c := b.conn()
		c.Settings["journalId"] = other
		contract, v := verifyOData(t, b, c, adapters.Requirements{})
		require.Equal(t, classify.Success, v.Class, v.Message)
		found := checkOf(t, contract, "journal "+other).Found
		require.Contains(t, found, "HTTP 404: Internal_RecordNotFound: The journal does not exist.")
		requireOneDiffers(t, contract, adapters.Check{What: "journal " + other, State: adapters.Differs, Found: found,
			Remedy: "correct settings.journalId: it is the ID of a general journal of this company"})
	})
	t.Run("a balancing account", func(t *testing.T) {
		contract := verifiedOData(t, newBooks(t, businesscentral.Name, sandbox.Options{BalancingAccount: "2910"}))
		require.Empty(t, contract.Differing())
		require.Equal(t, adapters.Check{What: "balancing account of the journal", State: adapters.Assumed,
			Found:  "account 2910: Business Central may balance each line with it",
			Remedy: "remove the balancing account of journal LEDGER: vouchers balance without it"}, checkOf(t, contract, "balancing account of the journal"))
	})
}

func TestVerifyBusinessCentralRights(t *testing.T) {
	const permissions = "on the page Microsoft Entra Applications in Business Central, give the application a permission set that may read %s, such as D365 READ"
	for name, c := range map[string]struct {
		operation, what, remedy string
	}{
		"ledger": {"generalLedgerEntries", "general ledger", strings.Replace(permissions, "%s", "the general ledger (table 17, G/L Entry)", 1)},
		"lines": {"journalLines", "look-up in the journal's lines",
			strings.Replace(permissions, "%s", "general journal lines (table 81, Gen. Journal Line)", 1)},
		"journals": {"journals(" + sandbox.DemoJournalID + ")", "journal " + sandbox.DemoJournalID,
			strings.Replace(permissions, "%s", "general journals (table 232, Gen. Journal Batch)", 1)},
	} {
		for code, said := range map[string]string{
			"Authorization_AccessDenied": "no",
			"Internal_ServerError":       "Sorry, the current permissions prevented the action. (TableData G/L Entry Read: Base Application)", // a permission that is missing
		} {
			t.Run(name+" "+code, func(t *testing.T) {
				b := newBooks(t, businesscentral.Name)
				b.Script(sandbox.Rule{Match: sandbox.Match{Operation: c.operation}, Status: http.StatusForbidden,
					Body: `{"error":{"code":"` + code + `","message":"` + said + `"}}`})
				requireOneDiffers(t, verifiedOData(t, b), adapters.Check{What: c.what, State: adapters.Differs, Found: "HTTP 403: " + code + ": " + said, Remedy: c.remedy})
			})
		}
	}
	t.Run("application not enabled", func(t *testing.T) {
		b := newBooks(t, businesscentral.Name)
		b.Script(sandbox.Rule{Match: sandbox.Match{Operation: "companies"}, Status: http.StatusUnauthorized,
			Body: `{"error":{"code":"Authentication_InvalidCredentials","message":"The server has rejected the client credentials."}}`})
		require.Equal(t, []adapters.Check{{What: "token", State: adapters.Differs,
			Found:  "HTTP 401: Authentication_InvalidCredentials: The server has rejected the client credentials.",
			Remedy: "enable the application on the page Microsoft Entra Applications in Business Central, give it permission sets, and grant it API.ReadWrite.All in Entra ID"}},
			verifiedOData(t, b).Checks)
	})
}

// The metadata document shows what can differ, and nothing if it cannot be read.
func TestVerifyBusinessCentralMetadata(t *testing.T) {
	rewrite := func(old, new string) sandbox.Rule {
		return sandbox.Rule{Rewrite: func(body []byte) []byte { return []byte(strings.Replace(string(body), old, new, 1)) }}
	}
	const line = `<Property Name="journalId" Type="Edm.Guid"`
	for name, c := range map[string]struct {
		rule sandbox.Rule
		want adapters.Check
	}{
		"too short": {rewrite(`"externalDocumentNumber" Type="Edm.String" MaxLength="35"`, `"externalDocumentNumber" Type="Edm.String" MaxLength="20"`), adapters.Check{
			What: "field externalDocumentNumber", State: adapters.Differs, Found: "type Edm.String, 20 characters",
			Remedy: "exports write Edm.String of up to 32 characters: the integration's baseURL must be that of the API v2.0"}},
		"no length": {rewrite(`"externalDocumentNumber" Type="Edm.String" MaxLength="35"`, `"externalDocumentNumber" Type="Edm.String"`), adapters.Check{
			What: "field externalDocumentNumber", State: adapters.Assumed, Found: "type Edm.String, no length is shown"}},
		"another type": {rewrite(`"amount" Type="Edm.Decimal"`, `"amount" Type="Edm.String"`), adapters.Check{
			What: "field amount", State: adapters.Differs, Found: "type Edm.String",
			Remedy: "exports write Edm.Decimal: the integration's baseURL must be that of the API v2.0"}},
		"no such field": {rewrite(`Name="externalDocumentNumber"`, `Name="externalNumber"`), adapters.Check{
			What: "field externalDocumentNumber", State: adapters.Differs, Found: "journal lines have no such field", Remedy: businessCentralBase}},
		"no such type": {rewrite(`EntityType Name="journalLine"`, `EntityType Name="line"`), adapters.Check{
			What: "fields of journal lines", State: adapters.Assumed, Found: "the metadata document has no type journalLine"}},
		"cut in the middle": {rewrite(line, `</Schema>`+line), adapters.Check{
			What: "fields of journal lines", State: adapters.Assumed, Found: "the metadata document is not XML"}},
		"HTML": {sandbox.Rule{Status: 200, Body: "<html><body>Sign in"}, adapters.Check{
			What: "fields of journal lines", State: adapters.Assumed, Found: "the metadata document is not XML"}},
		"refused": {sandbox.Rule{Status: 403, Body: `{"error":{"code":"Authorization_AccessDenied","message":"no"}}`}, adapters.Check{
			What: "fields of journal lines", State: adapters.Assumed, Found: "HTTP 403: Authorization_AccessDenied: no"}},
		"too large": {sandbox.Rule{BodySize: adapters.MaxAnswer + 1}, adapters.Check{
			What: "fields of journal lines", State: adapters.Assumed, Found: "HTTP 200: the vendor answered HTTP 200 with more than 4194304 bytes; ask for less at a time"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, businesscentral.Name)
			c.rule.Match.Operation = "$metadata"
			if c.rule.BodySize > 0 {
				c.rule.Status = 200
			}
			b.Script(c.rule)
			contract := verifiedOData(t, b)
			require.Equal(t, c.want, checkOf(t, contract, c.want.What))
			for _, d := range contract.Differing() {
				require.Equal(t, c.want, d)
			}
		})
	}
}

// everyODataVerifier runs a test for each vendor of the two.
func everyODataVerifier(t *testing.T, test func(t *testing.T, b books)) {
	for _, name := range []string{dataverse.Name, businesscentral.Name} {
		t.Run(name, func(t *testing.T) { test(t, newBooks(t, name)) })
	}
}

func TestVerifyToken(t *testing.T) {
	everyODataVerifier(t, func(t *testing.T, b books) {
		c := b.conn()
		c.Credentials["clientSecret"] = "expired"
		contract, v := verifyOData(t, b, c, adapters.Requirements{})
		require.Equal(t, classify.Success, v.Class, v.Message)
		require.Len(t, contract.Checks, 1)
		check := contract.Checks[0]
		require.Contains(t, check.Found, "token endpoint: invalid_client")
		require.Equal(t, adapters.Check{What: "token", State: adapters.Differs, Found: check.Found,
			Remedy: "check the settings tenantId and clientId and the credential clientSecret: Entra ID issues no token for them"}, check)
		require.Zero(t, b.asked(b.name))

		b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: "entra"}, Status: http.StatusServiceUnavailable})
		contract, v = verifyOData(t, b, b.conn(), adapters.Requirements{})
		require.Equal(t, classify.Unavailable, v.Kind)
		require.Empty(t, contract.Checks)

		c = b.conn()
		delete(c.Credentials, "clientSecret")
		_, v = verifyOData(t, b, c, adapters.Requirements{})
		require.Equal(t, classify.Credentials, v.Kind, "nobody was asked")
	})
	everyODataVerifier(t, func(t *testing.T, b books) { // a token that was revoked before its time
		verifiedOData(t, b)
		b.RevokeTokens()
		require.Empty(t, verifiedOData(t, b).Differing())
	})
}

// Without the settings that exports need, only the token can be checked.
func TestVerifyWithoutSettings(t *testing.T) {
	everyODataVerifier(t, func(t *testing.T, b books) {
		contract, v := verifyOData(t, b, b.bench.conn(b.name), adapters.Requirements{})
		require.Equal(t, classify.Success, v.Class, v.Message)
		require.Equal(t, []adapters.Check{{What: "token", State: adapters.Checked, Found: "accepted"}}, contract.Checks)
		require.Equal(t, 1, b.asked(b.name))
	})
}

// Whichever request it is that does not get an answer: the vendor could not be
// asked, and nothing differs for that.
func TestVerifyCannotAsk(t *testing.T) {
	failures := map[string]struct {
		rule sandbox.Rule
		kind classify.Kind
	}{
		"down":          {sandbox.Rule{Status: 503}, classify.Unavailable},
		"throttled":     {sandbox.Rule{Status: 429}, classify.RateLimited},
		"a redirect":    {sandbox.Rule{Status: 302, Headers: map[string]string{"Location": "https://elsewhere.example/"}}, classify.Redirect},
		"cut off":       {sandbox.Rule{TruncateAt: 20}, classify.Network},
		"dropped":       {sandbox.Rule{Drop: sandbox.BeforeEffect}, classify.Network},
		"another shape": {sandbox.Rule{Status: 200, Body: `{"surprise":1}`}, classify.Untrusted},
		"HTML":          {sandbox.Rule{Status: 200, Body: `<html></html>`}, classify.IncompleteResponse},
	}
	everyODataVerifier(t, func(t *testing.T, b books) {
		verifiedOData(t, b, "project")
		for i, r := range b.received(b.name) {
			for name, f := range failures {
				operation := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
				readable := operation == "WhoAmI" || operation == "$metadata" // of these another shape shows nothing
				if readable && (name == "another shape" || name == "HTML") {
					continue
				}
				f.rule.Match = sandbox.Match{Vendor: b.name, Operation: operation}
				number := b.Script(f.rule)
				contract, v := verifyOData(t, b, b.conn(), adapters.Requirements{Dimensions: []string{"project"}})
				require.NotZero(t, b.Fired(number), operation)
				require.Equal(t, f.kind, v.Kind, "request %d, %s, %s: %s", i, operation, name, v.Message)
				require.Empty(t, contract.Checks)
				b.Unscript()
			}
		}
	})
}

// A filter that is passed over would make everything seem to be there, or nothing.
func TestVerifyIgnoredFilter(t *testing.T) {
	const remedy = "find out what answers in the vendor's place; an export cannot know what is there"
	for name, what := range map[string]string{dataverse.Name: "look-up in acme_ledgerlines", businesscentral.Name: "look-up in the journal's lines"} {
		b := newBooks(t, name)
		b.sent(t, vouchers("A", 4, "3000"))
		b.Script(sandbox.Rule{Match: sandbox.Match{Vendor: name, Method: http.MethodGet}, Lookup: sandbox.FilterIgnored})
		contract, v := b.Exporter.(adapters.Verifier).Verify(t.Context(), b.conn(), adapters.Requirements{})
		require.Equal(t, classify.Success, v.Class, v.Message)
		differs := contract.Differing()
		require.Len(t, differs, 1)
		require.Equal(t, what, differs[0].What)
		require.Equal(t, remedy, differs[0].Remedy)
		require.Contains(t, differs[0].Found, "that were not asked for: the filter is ignored")
	}
}
