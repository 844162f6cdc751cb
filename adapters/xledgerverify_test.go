package adapters_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// What of a schema is not as exports need it differs, by its name and with a remedy.
func TestXledgerSchemaDiffers(t *testing.T) {
	for name, c := range map[string]struct {
		from, to string // in each answer about the schema
		what     string
		found    string
		state    adapters.CheckState
	}{
		"no mutation":           {`"name":"addGLImportItems"`, `"name":"x"`, "mutation addGLImportItems", "there is none", adapters.Differs},
		"no inputs":             {`"name":"inputs"`, `"name":"items"`, "mutation addGLImportItems, inputs", "it does not take a list of inputs", adapters.Differs},
		"no amount":             {`"name":"amount"`, `"name":"sum"`, "field amount", "there is none", adapters.Differs},
		"no identifier":         {`"name":"extIdentifier"`, `"name":"ext"`, "field extIdentifier", "there is none", adapters.Differs},
		"no account":            {`"name":"account"`, `"name":"konto"`, "field account", "there is none", adapters.Differs},
		"no dimension":          {`"name":"glObject1"`, `"name":"dim1"`, "field glObject1", "there is none", adapters.Differs},
		"no client ID":          {`"name":"clientId"`, `"name":"id"`, "input clientId", "there is none", adapters.Differs},
		"no filter":             {`"name":"extIdentifier_in"`, `"name":"extIdentifier_eq"`, "query glImportItems, filter extIdentifier_in", "there is none", adapters.Differs},
		"no look-up":            {`"name":"glImportItems"`, `"name":"x"`, "query glImportItems", "there is none", adapters.Differs},
		"no error list":         {`"name":"glImportItemErrors"`, `"name":"x"`, "query glImportItemErrors", "there is none", adapters.Assumed},
		"no time of errors":     {`"name":"createdAt_gte"`, `"name":"createdAt_gt"`, "query glImportItemErrors, filter createdAt_gte", "there is none", adapters.Assumed},
		"no cursor":             {`"name":"cursor"`, `"name":"x"`, "answer of glImportItems", "it has no edges.cursor", adapters.Differs},
		"no paging":             {`"name":"after"`, `"name":"skip"`, "query glImportItems, after", "it does not take it", adapters.Differs},
		"whole amounts":         {`"name":"DecimalString"`, `"name":"Int"`, "field amount", "type Int, which has no decimals", adapters.Differs},
		"an amount that counts": {`"name":"DecimalString"`, `"name":"Decimal"`, "field amount", "type Decimal, written as a number", adapters.Checked},
		"an amount of its own":  {`"name":"DecimalString"`, `"name":"Beløp"`, "field amount", "type Beløp, written as a text", adapters.Assumed},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, xledger.Name)
			replaced := 0
			b.Script(sandbox.Rule{Match: sandbox.Match{BodyContains: "__type(name"}, Rewrite: func(body []byte) []byte {
				replaced += strings.Count(string(body), c.from)
				return []byte(strings.ReplaceAll(string(body), c.from, c.to))
			}})
			contract, v := xledger.Adapter{}.Verify(t.Context(), b.conn(), adapters.Requirements{Dimensions: []string{"glObject1"}})
			require.Equal(t, classify.Success, v.Class, v.Message)
			require.NotZero(t, replaced)
			for _, check := range contract.Checks {
				require.True(t, check.State == adapters.Checked || check.Remedy != "", "%+v", check)
				if check.What == c.what {
					require.Equal(t, c.state, check.State, check)
					require.Contains(t, check.Found, c.found)
					return
				}
			}
			require.Fail(t, "no such check", "%s: %+v", c.what, contract.Checks)
		})
	}
}

// A field that the vendor requires and that is not sent differs.
func TestXledgerRequiresMore(t *testing.T) {
	b := newBooks(t, xledger.Name)
	const field = `"name":"invoiceNumber"`
	b.Script(sandbox.Rule{Match: sandbox.Match{BodyContains: "__type(name"}, Rewrite: func(body []byte) []byte {
		// invoiceNumber becomes required in whichever order its members stand.
		s := string(body)
		for _, kind := range []string{`"type":{"kind":"SCALAR","name":"String","ofType":null}`} {
			s = strings.ReplaceAll(s, field+`,"defaultValue":null,`+kind, field+`,"defaultValue":null,"type":{"kind":"NON_NULL","name":null,"ofType":{"kind":"SCALAR","name":"String"}}`)
		}
		return []byte(s)
	}})
	contract, v := xledger.Adapter{}.Verify(t.Context(), b.conn(), adapters.Requirements{})
	require.Equal(t, classify.Success, v.Class)
	require.Contains(t, contract.Checks, adapters.Check{What: "field invoiceNumber", State: adapters.Differs,
		Found: "it is required, and Ledgerline does not send it", Remedy: "map one of your dimensions to it in export.dimensions"})
	contract, _ = xledger.Adapter{}.Verify(t.Context(), b.conn(), adapters.Requirements{Dimensions: []string{"invoiceNumber"}})
	require.Empty(t, contract.Differing())
}

// What the vendor answers instead of an answer decides what is known: a refusal
// differs, or is assumed where exports work without; trouble is trouble.
func TestXledgerVerifyAnswers(t *testing.T) {
	refused := `{"errors":[{"message":"Not allowed"}]}`
	for name, c := range map[string]struct {
		rule  sandbox.Rule
		class classify.Class
		what  string
		state adapters.CheckState
	}{
		"token refused":              {sandbox.Rule{Status: http.StatusUnauthorized, Body: refused}, classify.Success, "token", adapters.Differs},
		"token refused inside 200":   {sandbox.Rule{Status: http.StatusOK, Body: refused}, classify.Success, "token or address", adapters.Differs},
		"another address":            {sandbox.Rule{Status: http.StatusNotFound, Body: "<html>"}, classify.Success, "token or address", adapters.Differs},
		"no introspection":           {sandbox.Rule{Match: sandbox.Match{BodyContains: "__schema"}, Status: http.StatusOK, Body: refused}, classify.Success, "schema", adapters.Assumed},
		"no types":                   {sandbox.Rule{Match: sandbox.Match{BodyContains: "__type(name"}, Status: http.StatusBadRequest, Body: refused}, classify.Success, "schema", adapters.Assumed},
		"items refused":              {sandbox.Rule{Match: sandbox.Match{Operation: "glImportItems"}, Status: http.StatusOK, Body: refused}, classify.Success, "look-up of import items by extIdentifier", adapters.Differs},
		"errors refused":             {sandbox.Rule{Match: sandbox.Match{Operation: "glImportItemErrors"}, Status: http.StatusForbidden, Body: refused}, classify.Success, "look-up of import errors", adapters.Assumed},
		"the filter is ignored":      {sandbox.Rule{Match: sandbox.Match{Operation: "glImportItems"}, Lookup: sandbox.FilterIgnored}, classify.Success, "look-up of import items by extIdentifier", adapters.Differs},
		"unavailable":                {sandbox.Rule{Status: http.StatusServiceUnavailable}, classify.Transient, "", ""},
		"throttled at the schema":    {sandbox.Rule{Match: sandbox.Match{BodyContains: "__schema"}, Status: http.StatusTooManyRequests}, classify.Transient, "", ""},
		"unavailable at the look-up": {sandbox.Rule{Match: sandbox.Match{Operation: "glImportItems"}, Status: http.StatusServiceUnavailable}, classify.Transient, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, xledger.Name)
			b.send(t, vouchers("A", 2, "3000"))
			before := len(b.Effects())
			b.Script(c.rule)
			contract, v := xledger.Adapter{}.Verify(t.Context(), b.conn(), adapters.Requirements{})
			require.Equal(t, c.class, v.Class, v.Message)
			require.Len(t, b.Effects(), before, "nothing was changed")
			for _, check := range contract.Checks {
				if check.What == c.what {
					require.Equal(t, c.state, check.State)
					require.NotEmpty(t, check.Remedy)
					return
				}
			}
			require.Empty(t, c.what, "no such check: %+v", contract.Checks)
		})
	}
	b := newBooks(t, xledger.Name, sandbox.Options{NoIntrospection: true})
	contract, v := xledger.Adapter{}.Verify(t.Context(), b.conn(), adapters.Requirements{})
	require.Equal(t, classify.Success, v.Class)
	require.Empty(t, contract.Differing())
	require.Equal(t, adapters.Assumed, contract.Checks[1].State)
	require.Equal(t, adapters.Checked, contract.Checks[2].State, "the look-up is made all the same")
}
