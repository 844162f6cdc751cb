package redact

import (
	"strings"

	"github.com/ledgerline/ledgerline/internal/lazy"
)

// Pieces of the expressions below.
const (
	// sep stands between a key and its value: quotes in any number of escapes,
	// then a colon or an equals sign, which may be percent-encoded.
	sep = `(?:\\*["'])?\]?\s*(?::=|=>|->|[:=]|%3[dDaA])\s*`

	// value is what follows: already masked, a JSON string inside a JSON
	// string, a quoted string that may not be closed, an ADO value in braces
	// (}} is a brace in it), a list, or a word.
	value = `(?:\[REDACTED\]` +
		`|\\+"(?:[^"\\]|\\+[^"\\])*(?:\\*")?` +
		`|"(?:[^"\\]|\\.)*"?` +
		`|'(?:[^'\\]|\\.|'')*'?` +
		`|\{(?:[^}]|\}\})*\}?` +
		`|\[[^\[\]]*(?:\]|$)` +
		`|[^\s"'&;,<>(){}\[\]\\|]+)`

	// list is a JSON array, or a header's values as Go prints them.
	list = `\[[^\]]*\]?`

	// blank is any blank: Norwegian programs group digits with U+00A0 and
	// U+202F. gap is what else may stand between groups.
	blank = `[ \p{Zs}]`
	gap   = `[ .\p{Zs}-]`
)

// rules in the order in which they run: what is wider comes first.
var rules = []rule{
	// A certificate and a public key are no secrets.
	{name: "pem", needles: []string{"private"}, mask: whole,
		re: lazy.Regexp(`(?s)-{4,5}[ +]?BEGIN[ +][A-Z0-9 +]*PRIVATE[ +]KEY(?:[ +]BLOCK)?[ +]?-{4,5}.*?(?:-{4,5}[ +]?END[ +][A-Z0-9 +]*PRIVATE[ +]KEY(?:[ +]BLOCK)?[ +]?-{4,5}|$)`)},

	{name: "putty", needles: []string{"private-lines"}, mask: second, re: lazy.Regexp(`(?s)(Private-Lines: ?[0-9]+\s).*?(?:Private-MAC: ?[0-9a-f]+|$)`)},

	// The private members of a JSON Web Key (RFC 7518, section 6).
	{name: "jwk", needles: []string{"kty"}, mask: second,
		re: lazy.Regexp(`((?:^|[{,\s])\\*["']?(?:d|p|q|dp|dq|qi|k)\\*["']?\s*[:=]\s*\\*["']?)[A-Za-z0-9_+/=-]{8,}`)},

	{name: "xml-key", needles: []string{"rsakeyvalue"}, mask: second,
		re: lazy.Regexp(`(<(?:D|P|Q|DP|DQ|InverseQ)>)[^<]+`)},

	// A name and its value that are members beside each other, in either order.
	{name: "name-value", needles: []string{"val", "content", "default"}, starts: siblingNames, word: true, mask: sibling,
		re: lazy.Regexp(`^(?i)(\w+["']?\s*(?:=>|[:=])\s*["']?)([\w .\[\]-]{1,80}?)` +
			`(["']?(?:\s*[,;]?\s*["']?[\w.-]+["']?\s*(?:=>|[:=])\s*(?:"[^"]*"|'[^']*'|[\w.]+)){0,3}?\s*[,;]?\s*["']?(?:values?|val|content|default)["']?\s*(?:=>|[:=])\s*)(` + value + `)`)},
	{name: "value-name", starts: []string{"val", "content", "default"}, word: true, mask: siblingBefore,
		re: lazy.Regexp(`^(?i)((?:values?|val|content|default)["']?\s*(?:=>|[:=])\s*)("[^"]*"|'[^']*')` +
			`((?:\s*[,;]?\s*["']?[\w.-]+["']?\s*(?:=>|[:=])\s*(?:"[^"]*"|'[^']*'|[\w.]+)){0,3}?\s*[,;]?\s*["']?(?:` + strings.Join(siblingNames, "|") + `)["']?\s*(?:=>|[:=])\s*["']?)([\w .\[\]-]{1,80})["']?`)},
	{name: "named-element", starts: []string{"<"}, mask: sibling,
		re: lazy.Regexp(`^(?i)(<[\w:.-]+\s[^<>]*?\b(?:name|key|id)\s*=\s*["'])([^"'<>]{1,80})(["'][^<>]*>\s*(?:<[\w.:-]+>)?)([^<]+)`)},
	{name: "name-value-elements", needles: []string{"</"}, mask: sibling,
		re: lazy.Regexp(`(?i)(<(?:[\w.-]+:)?\w+(?:\s[^<>]*)?>\s*)([^<>]{1,80}?)(\s*:?\s*</[\w.:-]+>\s*<(?:[\w.-]+:)?(?:value|val|td|dd|span|content|string|div)(?:\s[^<>]*)?>(?:\s*<[\w.:-]+>)?)([^<]+)`)},

	{name: "sql-password", needles: []string{"passw", "identified"}, mask: second,
		re: lazy.Regexp(`(?i)((?:\bpassw(?:ord|d)(?:\s+|\s*\(\s*)|\bidentified\s+(?:with\s+\S+\s+)?(?:by|as)\s+(?:password\s+)?|\bpassword\s+for\s+\S+\s*=\s*(?:password\s*\(\s*)?)[EeNn]?)(?:'(?:[^'\\]|\\.|'')*'?|"[^\s",:}\]][^"]*"?)`)},

	{name: "authorization", starts: []string{"authorization"}, mask: keepQuotes,
		re: lazy.Regexp(`^(?i)(authorization` + sep + `)(?:\[REDACTED\]|` + list +
			`|\\+"(?:[^"\\]|\\+[^"\\])*(?:\\*")?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?` +
			`|(?:digest|aws4-hmac-sha256|sharedaccesssignature|sharedkey(?:lite)?|oauth|hawk|ntlm|negotiate)\b[^\n]*` +
			`|(?:bearer|basic|token|apikey|key)\s+[^\s"'\\,;&<>\]}]+|[^\s"'\\,;&<>\]}]+)`)},

	{name: "cookie", starts: []string{"cookie"}, mask: keepQuotes,
		re: lazy.Regexp(`^(?i)(cookie2?` + sep + `)(?:\[REDACTED\]|` + list +
			`|\\+"(?:[^"\\]|\\+[^"\\])*(?:\\*")?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\n]+)`)},

	{name: "curl-user", needles: []string{"-u ", "-u=", "-u\n", "-user"}, mask: second,
		re: lazy.Regexp(`((?:^|\s)(?:-u|--user|--proxy-user)[\s=]+["']?[^\s:"']*:)[^\s"']+`)},

	{name: "url-password", needles: []string{"@"}, find: urlPasswords, mask: urlPassword},

	{name: "url-token", starts: []string{"://"}, mask: urlToken, re: lazy.Regexp(`^(://)([^\s:/?#@"'<>]{8,})@`)},

	{name: "xml", starts: []string{"<"}, mask: sibling,
		re: lazy.Regexp(`^(?i)(<)([\w\pL:.-]+)((?:\s[^<>]*)?>)(\s*<!\[CDATA\[.*?\]\]>|[^<]+)`)},
	{name: "xml-value", starts: []string{"<"}, mask: sibling,
		re: lazy.Regexp(`^(?i)(<)([\w\pL:.-]+)(\s[^<>]*?\bvalue\s*=\s*["'])([^"'<>]+)`)},

	// The address of a database without a scheme: user:password@tcp(host:3306)/db.
	{name: "dsn", needles: []string{"@"}, find: dsns, mask: dsn},

	// Addresses that are a credential themselves: what follows a hook.
	{name: "webhook", needles: []string{"hook"}, mask: webhook,
		re: lazy.Regexp(`(?i)(//(?:[^\s/"'<>?#]*hook[^\s/"'<>?#]*/(?:(?:services|workflows|triggers|hooks?|catch|webhook)/)*|[^\s"'<>?#]*?/[\w-]*hook[\w-]*/))([^\s"'<>?#,;]+)`)},
	{name: "path", needles: []string{"/key/", "/keys/", "/token/", "/apikey/", "/api-key/", "/secret/"}, mask: path,
		re: lazy.Regexp(`(?i)(/(?:keys?|token|api-?key|secret)/)([^\s"'<>?#/]{16,})`)},
	{name: "telegram", needles: []string{"bot"}, mask: second, re: lazy.Regexp(`(?i)(\bbot)[0-9]{6,}(?::|%3a)[A-Za-z0-9_-]{16,}`)},
	{name: "telegram-token", gate: holdsLongNumber, mask: whole, re: lazy.Regexp(`\b[0-9]{8,12}:AA[A-Za-z0-9_-]{30,}`)},

	{name: "key-value", find: keyValues, mask: keyValue},

	{name: "oauth-code", needles: []string{"code=", "state_token=", "key=", "assertion=", "samlresponse=", "nonce="}, mask: second,
		re: lazy.Regexp(`(?i)((?:^|[?&\s"'])(?:code|device_code|state_token|key|assertion|samlresponse|nonce)=)[^\s&"'<>]{20,}`)},

	{name: "scheme", starts: []string{"bearer", "basic", "negotiate", "sharedaccesssignature", "token"}, word: true, mask: scheme,
		re: lazy.Regexp(`^(?i)((?:bearer|basic|negotiate|sharedaccesssignature|token)(?:[\s\p{Zs}]+|%20|\+))([A-Za-z0-9._~+/=%-]{8,})`)},

	{name: "jwt", starts: []string{"eyj"}, word: true, mask: whole,
		re: lazy.Regexp(`^eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)*`)},

	{name: "vendor-key", word: true, mask: whole,
		starts: []string{"akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "xapp-", "sg.", "hvs.", "hvb.",
			"glpat-", "npm_", "aiza", "ya29.", "sk_live_", "sk_test_", "rk_live_", "rk_test_", "sk-", "dop_v1_", "shpat_", "whsec_"},
		re: lazy.Regexp(`^(?:(?:AKIA|ASIA)[A-Z0-9]{12,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}` +
			`|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|SG\.[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]*)?|hv[sb]\.[A-Za-z0-9_-]{16,}` +
			`|glpat-[A-Za-z0-9_-]{16,}|npm_[A-Za-z0-9]{20,}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{10,}` +
			`|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|sk-[A-Za-z0-9_-]{20,}|dop_v1_[a-f0-9]{32,}|shpat_[a-fA-F0-9]{20,}|whsec_[A-Za-z0-9+/=]{16,})`)},

	// Entra client secrets have no prefix; the version mark stands at the fourth place.
	{name: "entra-secret", needles: []string{"q~"}, mask: whole,
		re: lazy.Regexp(`[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{20,}`)},

	{name: "email", find: emails, mask: whole},

	{name: "iban", gate: holdsIBANStart, mask: iban,
		re: lazy.Regexp(`\b[A-Z]{2}[0-9]{2}(?:` + gap + `?[A-Z0-9]{2,4}){2,8}(?:` + gap + `?[A-Z0-9]{1,4})?\b`)},

	{name: "identity-number", gate: holdsLongNumber, mask: identityNumber, re: lazy.Regexp(`\b[0-9]{6}` + gap + `?[0-9]{5}\b`)},

	{name: "bank-account", gate: holdsLongNumber, mask: bankAccount, re: lazy.Regexp(`\b[0-9]{4}` + gap + `?[0-9]{2}` + gap + `?[0-9]{5}\b`)},

	{name: "phone", starts: []string{"+"}, mask: whole, re: lazy.Regexp(`^\+[0-9]{2,3}(?:` + gap + `?\(?[0-9]\)?){8,12}\b`)},

	{name: "phone-0047", starts: []string{"0047"}, word: true, mask: phoneOutsideUUID, re: lazy.Regexp(`^0047(?:` + gap + `?\(?[0-9]\)?){8,12}\b`)},

	{name: "labelled-phone", starts: []string{"mob", "phone", "telefon", "tlf", "tel", "fax", "sms", "msisdn"}, mask: labelledPhone,
		re: lazy.Regexp(`^(?i)((?:mobile?|(?:tele)?phone|telefon|tlf|tel|fax|sms|msisdn)[a-z0-9_.]{0,14}?(?:\\*["'])?[\s\p{Zs}]*[:=.]?[\s\p{Zs}]*(?:\\*["'])?)` +
			`((?:[0-9]{2}(?:` + blank + `?[0-9]{2}){3}|[0-9]{3}` + blank + `?[0-9]{2}` + blank + `?[0-9]{3}))\b`)},
}
