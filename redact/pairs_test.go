package redact_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ledgerline/ledgerline/redact"
)

// However a name and its value are joined and wrapped.
func TestPairs(t *testing.T) {
	secret := join("Som", "mer20", "26xQ7")
	for _, text := range []string{
		"the password is §", "passordet er §", "Password § is wrong", "password '§' is wrong", "pwd §", "PGPASSWORD=§ psql",
		"token § has expired", "invalid api key §", "Incorrect API key provided: §", "Invalid API Key: §", "api_key[§]", "token(§)", "password\t§", "password\t=\t§", "password;§", "password|§", "| password | § |",
		"{\"password\" : [\"§\"]}", "password = {value: '§'}", `{"password":{"value":"§"}}`, `{"password":{"$value":"§"}}`, "Authorization => Bearer §", "['Authorization'] = 'Bearer §'", "authorization,Bearer §",
		`["Authorization","Bearer §"]`, `-H 'X-Api-Key: §'`, `--header="X-Api-Key: §"`, "net.http.Header{\"X-Api-Key\":[]string{\"§\"}}", `http.Header{"Authorization":[]string{"token §"}}`, `&{Password:§ Port:1}`, "{Password:§}",
		"<passcode>§</passcode>", "<s:pinkode>§</s:pinkode>", "<klientnøkkel>§</klientnøkkel>", `<apinøkkel value="§"/>`,
		"password%20=%20§", "password+%3D+§", "password\u00a0= §", "password\u200b=§", "pass\ufe0fword=§", "PASSWORD=§", "pass=§", "passwd: §", "user/pass: svc/§", "user:pass = svc:§", "credentials: svc:§", "credential svc:§",
		"Credentials { user: svc, secret: § }", "<Password>§", "<password value=\"§\"/>", "<input name=password value=§>", "<input type=\"hidden\" name=\"token\" value=\"§\">", "data-token=\"§\"", "<entry key='password'>§</entry>", "<property name=\"password\">§</property>", "<param><name>password</name><value><string>§</string></value></param>",
		"machine db login svc password §", "default login x password §", "requirepass §", "aws_secret_access_key = §", "//registry/:_authToken=§", "_password=§", "x-goog-api-key: §", "Ocp-Apim-Subscription-Key:§", "x-ms-authorization-auxiliary: Bearer §", "id_token=§", "refreshToken: §", "client_assertion=§",
		"password:\n    §", "password:\r\n§", "\"password\":\n\t\"§\"", "password => '§'", "password → §", "password := §", "password == §", "password: \"\"\"§\"\"\"", "password: '''§'''", "password: “§”", "password: «§»", "password: ‹§›", "password: `§`", "password: <§>", "password=$'§'", "password = (\"§\")", "password=\\\"§\\\"", "password=@\"§\"", "set password to §", "password set to §", "password: !!str §", "password: &a §", "password: !secret §",
		"https://svc:§@host", "https://§@host/x", "ftp://svc:§@h", "svc:§@host", "mongodb+srv://u:§@h", "amqp://u:§@h", "redis://:§@h:6379", "jdbc:oracle:thin:svc/§@db:1521:x", "jdbc:sqlserver://h;user=x;password=§;", "Provider=x;Jet OLEDB:Database Password=§;", "PWD=§;UID=x",
		"https://outlook.office.com/webhook/aa@bb/IncomingWebhook/§aB12345/x", "https://hooks.slack.com/triggers/T0/1/§aB12345", "https://discordapp.com/api/webhooks/1/§aB12345", "https://maker.ifttt.com/trigger/x/with/key/§aB12345", "https://prod-1.westeurope.logic.azure.com:443/workflows/x/triggers/manual/paths/invoke?sp=x&sig=§", "https://mm.example.no/hooks/§aB12345abc", "https://api.telegram.org/bot1234567:§aB12345/x", "https://§@sentry.io/1",
	} {
		got := redact.Text(strings.ReplaceAll(text, "§", secret))
		assert.NotContains(t, got, secret[3:], text)
		assert.Equal(t, got, redact.Text(got), "twice")
	}
}

// What sounds like a secret and is none.
func TestNoPairs(t *testing.T) {
	for _, text := range []string{
		"Key 'customerNo' not found", "Token type: bearer expected", "The access token expired at 12:00", "password reset: see mail", "Secret: rotate it every 90 days", "signature: invalid", "Signature verification failed: key not found",
		"primary key: id", "foreign key: fk_entries", "unique key=entries_pkey", "user key: 12", "customer key: 10023", `"customerKey": 10023`, `{"sessionId":null}`, "account key", "The token '}' was unexpected", "Passord må endres", "passord: må endres",
		"hook: pre-commit", "see https://docs.example.no/webhooks/getting-started-with-webhooks", "https://learn.microsoft.com/webhooks/overview2", "Value: 12, name: Customer", "name: id, value: 12", "Invalid value for field 'Name': value 'x' is too long", "credentials: missing", "session id: expired", "connection string: malformed",
		"12.10.2026 10:00-12:00", "2026-11-23 00123456789", "Ordre 1234 56 78901", "KID: 1234 5678 9012 345", "+1 000 000 000,00", "+ 12 500", "konto 1920 10 00000", "journal 1234-56-78901", "GUID 123456-78901", "period 010126-31012", "Bilag 20261 123456", "passord mangler", "phone: 12", "tel: 10023", "Invalid phone 'abc'", "telefon 12345678901", "entry 20201-2 already exists", "user:pass@ is not allowed", "see a/b@v1.2/x", "npm i foo@1.2/x", "time=12:30@host:80", "mailto:x", "pkg:npm/foo@1.2.3",
		"Unexpected token u in JSON at position 0", "CSRF token mismatch", "token: unexpected end of input", "no-token", "--token", "token-based", "secret santa", "-secret files", "a -token ring", "use -password or --api-key together", "Only one of --token, --password may be set", "the option --password-file FILE",
	} {
		assert.Equal(t, text, redact.Text(text))
	}
}
