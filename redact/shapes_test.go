package redact_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/redact"
)

// Beyond the corpus. In a text, § stands for something secret, put together
// here so that no scanner takes this file for a leak.
func TestShapes(t *testing.T) {
	secret := strings.Join([]string{"Qx7", "vT2", "mZ9", "kLp4", "Wc8R", "n5J"}, "")
	jwt := strings.Join([]string{"eyJhbGciOiJub25lIn0", "eyJzdWIiOiJ4In0", secret}, ".")
	for _, text := range []string{
		// Headers.
		"Authorization: Bearer §", "authorization: bearer §", "AUTHORIZATION:§", "Authorization: token § and more",
		"Authorization: Basic §=", `"Authorization": "token §"`, `{"Authorization":["Bearer §"]}`, "Authorization:[Bearer §]",
		"Proxy-Authorization: Basic §", "X-Api-Key: §", "x-functions-key: §", "Ocp-Apim-Subscription-Key: §",
		"Cookie: session=§; other=§", "Set-Cookie: sid=§; Path=/", "got header Authorization = Bearer § from proxy",
		`curl -u user:§ https://x`, `curl --user "user:§" https://x`, "Authorization: Digest username=x, response=§",
		// Addresses and forms.
		"https://user:§@host/path", "postgres://ledger:§@db:5432/x", "?access_token=§&x=1", "?api_key=§", "&sig=§&se=2026", "token=§",
		"client_secret=§&grant_type=x", "grant_type=client_credentials&client_secret=§", "code=§&state=1", "password%3D§", "?sid=§",
		// JSON, once and twice encoded.
		`{"password":"§"}`, `{"clientSecret": "§"}`, `{"client-secret":"§","x":1}`, `{"a":"{\"token\":\"§\"}"}`, `{\"apiKey\":\"§\"}`,
		`{"refresh_token":"§"`, `{"private_key":"§"}`, `{'secret': '§'}`, `{"db.password":"§"}`, `{"sPassword":"§"}`, `{"TOKEN":"§"}`,
		// XML and connection strings.
		"<password>§</password>", `<ns:clientSecret x="1">§</ns:clientSecret>`, "<Token><![CDATA[§]]></Token>",
		"Server=x;User Id=y;Password=§;Encrypt=true", "AccountName=a;AccountKey=§==;EndpointSuffix=x", "SharedAccessSignature sr=x&sig=§",
		"Data Source=x;Pwd={§};", "Password='§'", "LEDGERLINE_TOKEN=§", "export DYNAMICS_SECRET=§", "passord: §", "Passord=§",
		// Without a name.
		"found " + jwt + " in log", "AKIA" + strings.ToUpper("abcdefgh12345678") + "§", "ghp_" + "§§", "glpat" + "-§", "xoxb" + "-§", "sk_live" + "_§",
		"-----BEGIN PRIVATE KEY-----\n§\n-----END PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----\n§", "abc8Q~§§.§§",
	} {
		text = strings.ReplaceAll(text, "§", secret)
		got := redact.Text("before, " + text)
		require.NotContains(t, got, secret, "%q became %q", text, got)
		require.Contains(t, got, redact.Mark, text)
		require.True(t, strings.HasPrefix(got, "before, "), got)
		require.Equal(t, got, redact.Text(got), "twice")
	}
}

// Persons, with numbers whose check digits are right and that belong to nobody.
func TestPersons(t *testing.T) {
	for _, c := range []struct{ text, gone string }{
		{"mail kari.nordmann@example.no now", "kari.nordmann"}, {"kari%40example.no", "kari"}, {"Åse.Ødegård@exämple.no", "Ødegård"},
		{"ring +47 22 33 44 55", "22 33"}, {"(+47)22334455 +4722334455", "+4722334455"}, {"0047 22334455", "22334455"},
		{"tlf: 22 33 44 55", "22 33"}, {"mobil 912 34 567", "912"}, {`"phone":"22334455"`, "22334455"},
		{"konto " + "1234.56." + "78903", "78903"}, {"IBAN " + "NO93 8601" + " 1117 947", "8601"}, {"NO938601" + "1117947", "8601"},
		{"GB82 WEST 1234" + " 5698 7654 32", "WEST"}, {"fnr " + "010100" + "50134", "50134"},
	} {
		got := redact.Text(c.text)
		require.NotContains(t, got, c.gone, "%q became %q", c.text, got)
	}
}

// What is no secret stays: a message that nobody can read helps nobody.
func TestStaysReadable(t *testing.T) {
	for _, text := range []string{
		"HTTP 503: the service is unavailable", "Invalid token: expected a name", "Bearer token is missing", "the password is wrong",
		"Account 1920 is not open for period 2026-10", "voucher 10023, amount 1 250,00 NOK", "KID 12345678903 is wrong",
		"invoice 20261123001 of 23.11.2026 at 12:30:45", "organization 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10", "org.nr. 974 760 673",
		"The field Customer No. contains a value (C-10023)", "correlation ID 0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001", "AADSTS7000215: Invalid client secret provided.",
		"0x80072322: number of requests exceeded", "retry after 2026-11-23T12:00:00Z", "https://www.xledger.net/graphql", "Unauthorized: token expired",
		"keyboard: norwegian", "monkey: 12", "tokens: 12 of 500", "cookies are off", "a basic authentication scheme", "1234567 items, 99999999999 bytes",
	} {
		require.Equal(t, text, redact.Text(text))
	}
}
