package redact_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

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
		// Dumps of programs.
		"map[Accept:[*/*] X-Api-Key:[§] Via:[1.1 proxy]]", "map[X-Auth-Token:[§ §]]", `{"X-Api-Key":["§"]}`, `X-Api-Key:[§`,
		"Array ( [password] => § [port] => 5432 )", `{"user"=>"svc", "password"=>"§"}`, "{:api_key=>'§'}", "[user[password]] => §", "password -> §",
		`["password"]=> string(26) "§"`, "password=b'§'", "SecretStr: password=SecretStr('§')", `Password: Some("§")`, `client_secret = u"§"`, "{password=§, port=1}",
		`["Host","x","X-Api-Key","§"]`, `('Api-Token', '§')`, "**Password:** §", "`token`: `§`", "<b>Password</b>: §", "(secret): §", "password: |\n  §", "password: >-\n  §",
		"API key: §", "Client Key: §", "access token: §", "api-nøkkel: §", "kodeord: §",
		// Encoded pairs.
		"&quot;password&quot;:&quot;§&quot;,", "&#34;token&#34;: &#34;§&#34;", "&lt;password&gt;§&lt;/password&gt;", "password=&gt;§", "x=%7B%22password%22%3A%22§%22%7D",
		"%257B%2522clientSecret%2522%253A%2522§%2522%257D", `\u0022secret\u0022:\u0022§\u0022`, "p%61ssword%3D§", `\x22token\x22: \x22§\x22`, "Authorization%3A%20Bearer%20§",
		`{"a":"{\"b\":\"{\\\"token\\\":\\\"§\\\"}\"}"}`, "ｐａｓｓｗｏｒｄ：§", "tok&#101;n=§", "authorization&#58; token §",
		// Siblings.
		`{"name": "X-Api-Key", "value": "§"}`, `{"key":"db_password","enabled":true,"value":"§"}`, `{"value":"§","name":"client_secret"}`, `<add key="ApiKey" value="§"/>`,
		`<setting name='Password' value='§'>`, "<name>token</name><value>§</value>", "<td>Password:</td><td>§</td>", "<dt>API key</dt> <dd class='x'>§</dd>", "- name: DB_PASSWORD value: §",
		`{\"name\":\"password\",\"value\":\"§\"}`, `{name: 'token', value: '§'}`, "%7B%22name%22%3A%22token%22%2C%22value%22%3A%22§%22%7D",
		// Flags and SQL.
		"starter sync --db-password § --host db1", "x --api-key '§' -v", "pwsh -Password §", "--token=§", `exec ["x", "--secret", "§"]`, "openssl --passphrase   §", "curl --oauth2.client-secret §",
		"CREATE USER app WITH PASSWORD '§';", "ALTER ROLE x ENCRYPTED PASSWORD E'§'", "CREATE USER x IDENTIFIED BY '§'", "create user x identified by \"§\"", "IDENTIFIED WITH mysql_native_password AS '§'",
		"SET PASSWORD FOR 'x'@'%' = PASSWORD('§')", "alter login x with password = N'§'", "PASSWORD('§')",
		// Names of vendors' keys.
		"ApplicationKey: §, ClientKey: § avvist", `{"clientKey":"§"}`, "consumer_key=§", "X-Integration-Key: §", "app-key: §",
		// Addresses of databases, and that are a credential themselves.
		"app:§@tcp(db1:3306)/ledger?parseTime=true", "app:a/b§@unix(/tmp/s)/x", "dsn app:§@db1:5432/x", "user:§@localhost/x", "scott/§@//db1:1521/x", "dsn='app:§@db-1.internal:3306'",
		"https://hooks.slack.com/services/T0AB/B0EF/§", "https://hooks.slack.com/workflows/T0/A0/12/§", "https://api.telegram.org/bot" + "123456789:AA§/getMe", "https://discord.com/api/webhooks/123456/§",
		"https://x.webhook.office.com/webhookb2/0d9f2f51-33a5@x/IncomingWebhook/§/y", "https://chat.example.no/hooks/§", "https%3A%2F%2Fhooks.slack.com%2Fservices%2FT0%2FB0%2F§", `https:\/\/hooks.slack.com\/services\/T0\/B0\/§`,
		"https://hook.eu1.make.com/§", "hooks.zapier.com//hooks.zapier.com/hooks/catch/1/§/",
		// Keys.
		"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n§\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----", "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n§\n---- END SSH2 ENCRYPTED PRIVATE KEY ----",
		`-----BEGIN EC PRIVATE KEY-----\n§\n-----END EC PRIVATE KEY-----`, "-----BEGIN+PRIVATE+KEY-----%0A§%0A", "Private-Lines: 1\n§\nPrivate-MAC: 00ff",
		`{"kty":"RSA","n":"0vx7","e":"AQAB","d":"§","p":"§","q":"§","dp":"§","dq":"§","qi":"§"}`, `{"k":"§","kty":"oct"}`, `{\"kty\":\"EC\",\"d\":\"§\"}`, "<RSAKeyValue><Modulus>x</Modulus><D>§</D></RSAKeyValue>",
		// Without a name.
		"found " + jwt + " in log", "AKIA" + strings.ToUpper("abcdefgh12345678") + "§", "ghp_" + "§§", "glpat" + "-§", "xoxb" + "-§", "sk_live" + "_§",
		"-----BEGIN PRIVATE KEY-----\n§\n-----END PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----\n§", "abc8Q~§§.§§",
	} {
		text = strings.ReplaceAll(text, "§", secret)
		got := redact.Text("before, " + text)
		assert.NotContains(t, got, secret, "%q became %q", text, got)
		assert.Contains(t, got, redact.Mark, text)
		assert.True(t, strings.HasPrefix(got, "before, "), got)
		assert.Equal(t, got, redact.Text(got), "twice")
	}
}

// Persons, with numbers whose check digits are right and that belong to nobody.
func TestPersons(t *testing.T) {
	for _, c := range []struct{ text, gone string }{
		{"mail kari.nordmann@example.no now", "kari.nordmann"}, {"kari%40example.no", "kari"}, {"Åse.Ødegård@exämple.no", "Ødegård"},
		{"ring +47 22 33 44 55", "22 33"}, {"(+47)22334455 +4722334455", "+4722334455"}, {"0047 22334455", "22334455"}, {"x-0047-2233-4455-0afe6eea932a", "2233"},
		{"tlf: 22 33 44 55", "22 33"}, {"mobil 912 34 567", "912"}, {`"phone":"22334455"`, "22334455"},
		{"konto " + "1234.56." + "78903", "78903"}, {"IBAN " + "NO93 8601" + " 1117 947", "8601"}, {"NO938601" + "1117947", "8601"},
		{"GB82 WEST 1234" + " 5698 7654 32", "WEST"}, {"fnr " + "010100" + "50134", "50134"},
		// Groups as Norwegian programs write them, with U+00A0, U+202F and thin blanks.
		{"ring +47\u00a0912\u00a034\u00a0567", "912"}, {"tlf 22\u202f33\u202f44\u202f55", "22\u202f"}, {"mobil 912\u00a034\u2009567", "912"},
		{"konto 8601\u00a011\u00a0" + "17947", "17947"}, {"IBAN NO93\u00a08601\u00a0" + "1117\u00a0947", "1117"}, {"fnr 010190\u202f" + "10046", "10046"}, {"fnr 010190&nbsp;" + "10046", "10046"},
		{"tlf&#58;&nbsp;22&nbsp;33&nbsp;44&nbsp;55", "33"}, {"fnr ０１０１９０ " + "10046", "10046"},
		// The rules of 2032: the first sum leaves 1, 2 or 3. D-numbers and synthetic ones.
		{"fnr " + "010130" + "10095", "10095"}, {"fnr " + "010130" + "10184", "10184"}, {"fnr " + "418190" + "10186", "10186"}, {"fnr " + "414190" + "10012", "10012"},
		// Columns of Dataverse and Business Central.
		{`{"telephone1": "91234567"}`, "9123"}, {`{"address1_telephone1":"22334455"}`, "2233"}, {`"address2_fax": "22 33 44 55"`, "22 33"}, {`"Phone_No": "22334455"`, "2233"},
		{`"mobilePhoneNo":"91234567"`, "9123"}, {`"homePhone":"91234567"`, "9123"}, {`"business_telephone2": "22334455"`, "2233"}, {"mobilnummer: 91234567", "9123"},
	} {
		got := redact.Text(c.text)
		assert.NotContains(t, got, c.gone, "%q became %q", c.text, got)
		assert.Equal(t, got, redact.Text(got), "twice")
	}
}

// What is no secret stays: a message that nobody can read helps nobody.
func TestStaysReadable(t *testing.T) {
	for _, text := range []string{
		"HTTP 503: the service is unavailable", "Invalid token: expected a name", "Bearer token is missing", "the password is wrong",
		"Account 1920 is not open for period 2026-10", "voucher 10023, amount 1 250,00 NOK", "KID 12345678903 is wrong",
		"invoice 20261123001 of 23.11.2026 at 12:30:45", "organization 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10", "org.nr. 974 760 673",
		"The field Customer No. contains a value (C-10023)", "correlation ID 0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001", `{"id":"141d88ba-0047-4919-9724-0afe6eea932a"}`, "line 00474919-9724-4919-9724-0afe6eea932a",
		"AADSTS7000215: Invalid client secret provided.",
		"0x80072322: number of requests exceeded", "retry after 2026-11-23T12:00:00Z", "https://www.xledger.net/graphql", "Unauthorized: token expired",
		"Access denied for user 'svc'@'10.0.0.5' (using password: YES)", "passord: minst 8 tegn kreves", "Password: must have 8 characters", "password: required", "passord mangler: feltet er tomt",
		"the flag --token is required", "use --password to sign in", "unknown flag --api-key -v", `Unexpected token '<', "<html>" is not valid JSON`, "Syntax Error: Unexpected token: [", `secret "db-creds" not found`,
		"unexpected token } in JSON", `columns "user", "password", "email"`, "api key: missing", "key: value", `{"name":"Customer","value":"10023"}`, `{"name":"token","value":null}`, "<td>Account</td><td>1920</td>",
		"the public key is on the page", `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQ","e":"AQAB"}`, "image:1.25@sha256:12345abc",
		"https://api.example.no/webhooks/42", "https://hooks.slack.com/services/", "https://example.no/hooks/payments", "voucher 10023 -> 10024", "a => b", "SELECT password FROM users", "telephone 12", "hotel 22334455",
		"amount\u00a01\u00a0250\u00a0000,00", "1 250 000,00 and 22 334 455", "KID 2345676", "period:2026-10@company", "12:30 in Oslo", "Content%20type%20is%20wrong", "A &amp; B &lt;= C", `line 1\nline 2`, "æøå &oslash; %C3%A6",
		"keyboard: norwegian", "monkey: 12", "tokens: 12 of 500", "cookies are off", "a basic authentication scheme", "1234567 items, 99999999999 bytes",
	} {
		assert.Equal(t, text, redact.Text(text))
	}
}

// A certificate is public: it helps whoever looks for the reason of a refusal.
func TestCertificateStays(t *testing.T) {
	text := "x509: -----BEGIN CERTIFICATE----- " + strings.Repeat("MIIBszCCAVmgAwIBAgIUQ0", 5) + " -----END CERTIFICATE----- and -----BEGIN PUBLIC KEY----- MFkwEwYHKoZIzj0CAQ -----END PUBLIC KEY-----"
	assert.Equal(t, text, redact.Text(text))
}

// What stands around a pair stays.
func TestNeighboursStay(t *testing.T) {
	for text, stays := range map[string][]string{
		"map[Accept:[*/*] X-Api-Key:[§] Via:[1.1 proxy]]":                                      {"Accept:[*/*]", "Via:[1.1 proxy]"},
		"Array ( [host] => db1 [password] => § [port] => 5432 )":                               {"[host] => db1", "[port] => 5432"},
		"&quot;user&quot;:&quot;svc&quot;,&quot;pwd&quot;:&quot;§&quot;,&quot;port&quot;:5432": {"svc", "5432", "port"},
		"GET /x?filter=%7B%22password%22%3A%22§%22%2C%22n%22%3A1%7D":                           {"GET /x?filter=%7B%22password%22%3A%22", "%22%2C%22n%22%3A1%7D"},
		`[{"name":"Accept","value":"*/*"},{"name":"X-Api-Key","value":"§"}]`:                   {`{"name":"Accept","value":"*/*"}`, `"name":"X-Api-Key"`},
		"sync --db-password § --host db1 --api-key § -v":                                       {"--host db1", "-v"},
		`role "app" already exists STATEMENT: PASSWORD '§';`:                                   {`role "app" already exists`, ";"},
		"cannot open app:§@tcp(db1:3306)/ledger":                                               {"cannot open app:", "@tcp(db1:3306)/ledger"},
		`Post "https://hooks.slack.com/services/T0/B0/§": i/o timeout`:                         {"https://hooks.slack.com/services/", ": i/o timeout"},
		`{"kty":"RSA","n":"0vx7agoebG","d":"§","alg":"RS256"}`:                                 {`"n":"0vx7agoebG"`, `"alg":"RS256"`},
	} {
		secret := join("Som", "mer20", "26xQ", "7zt9Kw2L")
		got := redact.Text(strings.ReplaceAll(text, "§", secret))
		assert.NotContains(t, got, secret)
		for _, part := range stays {
			assert.Contains(t, got, part)
		}
	}
}
