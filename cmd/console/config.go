package main

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/codec"
	"github.com/ledgerline/ledgerline/console/signin"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

// config is what the flags and the environment say.
type config struct {
	version bool // say which build this is, and end

	databaseURL string
	sourceURL   string
	listen      string
	ops         string
	publicURL   string
	certificate string
	key         string
	development bool
	relax       bool

	issuer, clientID, secretFile, audience, groups string
	access, cookieKeyFile                          string
	sessionFor, startup                            time.Duration

	logFormat string
	logLevel  slog.Level

	public *url.URL         // publicURL
	pair   *tls.Certificate // of certificate and key; nil without
	keys   *codec.Keys      // of payloads
	signIn signin.Options   // without what needs the database
}

// usageError is an error of the command line or the environment.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

const help = `Usage: console [flags]

Serves the console, a web page for finance staff and a JSON API, until it gets SIGTERM
or SIGINT. Several can run beside each other.

Temporal is found by its own variables and profile file: TEMPORAL_ADDRESS,
TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS…, TEMPORAL_PROFILE. Payloads are
encrypted as the workers' are: LEDGERLINE_PAYLOAD_KEYS and LEDGERLINE_PAYLOAD_KEY.

People sign in at an issuer of OpenID Connect. What a group may do in which
organization is said by the access file:

  groups:
    - group: 6c1f2f7e-8d0f-4b1e-9a55-2f6a3f1f0b11
      role: finance           # viewer, finance or administrator
      organizations: [eksempel]

--development needs no issuer: everybody is one administrator of all organizations. It
answers on loopback only.

Traces are exported by OTLP if OTEL_EXPORTER_OTLP_ENDPOINT is set. docs/console.md has
the rest.

`

// parse reads flags, and for what they leave out the environment.
func parse(args []string, getenv func(string) string, words io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("console", flag.ContinueOnError)
	var said bytes.Buffer // said only if it is asked for: a wrong flag is not to be looked for above it
	flags.SetOutput(&said)
	flags.Usage = func() {
		fmt.Fprint(&said, help)
		flags.PrintDefaults()
	}
	// Defaults from the environment are read after the flags, so that no help shows one.
	flags.StringVar(&c.databaseURL, "database-url", "", "PostgreSQL, as a `user` with the role ledgerline_console; $DATABASE_URL")
	flags.StringVar(&c.sourceURL, "source-database-url", "", "where sources of entries other than the default one are read, as a `login` of their own; $"+runlog.SourceVariable)
	flags.StringVar(&c.listen, "listen", "127.0.0.1:8090", "`address` of pages and API; :8090 is every interface, as containers need it; $LEDGERLINE_CONSOLE_LISTEN")
	flags.StringVar(&c.ops, "ops-listen", "127.0.0.1:8091", "`address` of /livez, /readyz and /metrics, which need no credentials; $LEDGERLINE_CONSOLE_OPS_LISTEN")
	flags.StringVar(&c.publicURL, "public-url", "", "where people reach it, such as https://console.example.com; $LEDGERLINE_CONSOLE_URL")
	flags.StringVar(&c.certificate, "tls-certificate", "", "`file` of a certificate, to serve HTTPS itself; without it something before it does; $LEDGERLINE_CONSOLE_TLS_CERTIFICATE")
	flags.StringVar(&c.key, "tls-key", "", "`file` of its key; $LEDGERLINE_CONSOLE_TLS_KEY")
	flags.StringVar(&c.access, "access", "", "the access `file`: who may do what; $LEDGERLINE_CONSOLE_ACCESS")
	flags.StringVar(&c.issuer, "oidc-issuer", "", "`URL` of the issuer that people sign in at; $LEDGERLINE_OIDC_ISSUER")
	flags.StringVar(&c.clientID, "oidc-client-id", "", "`ID` of the console at the issuer; $LEDGERLINE_OIDC_CLIENT_ID")
	flags.StringVar(&c.secretFile, "oidc-client-secret-file", "", "`file` with its secret; $LEDGERLINE_OIDC_CLIENT_SECRET_FILE")
	flags.StringVar(&c.audience, "oidc-audience", "", "`audience` of access tokens for the API; without it no token is accepted; $LEDGERLINE_OIDC_AUDIENCE")
	flags.StringVar(&c.groups, "oidc-groups-claim", "groups", "the `claim` that names somebody's groups; roles for app roles of Entra ID; $LEDGERLINE_OIDC_GROUPS_CLAIM")
	flags.StringVar(&c.cookieKeyFile, "cookie-key-file", "", "`file` with 32 random bytes in base64, the same for all consoles, that seals sign-ins under way; random if not given; $LEDGERLINE_CONSOLE_COOKIE_KEY_FILE")
	flags.DurationVar(&c.sessionFor, "session", signin.DefaultSession, "how long somebody stays signed in, 8h at most; $LEDGERLINE_CONSOLE_SESSION")
	flags.BoolVar(&c.development, "development", false, "development only: nobody signs in, and everybody is one administrator; on loopback only; $LEDGERLINE_CONSOLE_DEVELOPMENT=true")
	flags.BoolVar(&c.relax, "relax-database-checks", false, "development only: warn about an unsafe database user or setting instead of refusing; $LEDGERLINE_RELAX_DATABASE_CHECKS=true")
	flags.DurationVar(&c.startup, "startup-timeout", 10*time.Second, "how long to wait for Temporal, PostgreSQL and the issuer at the start")
	flags.StringVar(&c.logFormat, "log-format", "json", "`json` or text")
	flags.TextVar(&c.logLevel, "log-level", slog.LevelInfo, "DEBUG, INFO, WARN or ERROR")
	flags.BoolVar(&c.version, "version", false, "print which build this is, and end")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			_, _ = said.WriteTo(words)
			return c, err
		}
		return c, usageError{fmt.Errorf("%w; see console --help", err)}
	}
	if c.version {
		return c, nil
	}
	environment := fromEnvironment(flags, getenv)
	var payloads error
	if c.keys, payloads = codec.FromEnv(getenv); payloads != nil {
		payloads = usageError{payloads}
	}
	return c, errors.Join(environment, c.validate(flags.Args()), payloads)
}

// variables are where a flag that was not given comes from.
var variables = map[string]string{
	"database-url": "DATABASE_URL", "source-database-url": runlog.SourceVariable, "listen": "LEDGERLINE_CONSOLE_LISTEN", "ops-listen": "LEDGERLINE_CONSOLE_OPS_LISTEN",
	"public-url": "LEDGERLINE_CONSOLE_URL", "tls-certificate": "LEDGERLINE_CONSOLE_TLS_CERTIFICATE", "tls-key": "LEDGERLINE_CONSOLE_TLS_KEY",
	"access": "LEDGERLINE_CONSOLE_ACCESS", "oidc-issuer": "LEDGERLINE_OIDC_ISSUER", "oidc-client-id": "LEDGERLINE_OIDC_CLIENT_ID",
	"oidc-client-secret-file": "LEDGERLINE_OIDC_CLIENT_SECRET_FILE", "oidc-audience": "LEDGERLINE_OIDC_AUDIENCE", "oidc-groups-claim": "LEDGERLINE_OIDC_GROUPS_CLAIM",
	"cookie-key-file": "LEDGERLINE_CONSOLE_COOKIE_KEY_FILE", "session": "LEDGERLINE_CONSOLE_SESSION", "development": "LEDGERLINE_CONSOLE_DEVELOPMENT",
	"relax-database-checks": "LEDGERLINE_RELAX_DATABASE_CHECKS",
}

// fromEnvironment sets the flags that were not given. What it refuses it names
// without the value.
func fromEnvironment(flags *flag.FlagSet, getenv func(string) string) error {
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		variable := variables[name]
		if value := getenv(variable); value != "" && !given[name] {
			if flags.Set(name, value) != nil {
				errs = append(errs, usageError{fmt.Errorf("%s: want what --%s takes; see console --help", variable, name)})
			}
		}
	}
	return errors.Join(errs...)
}

// validate checks everything that can be known before anything is asked, and says all that is
// wrong at once.
func (c *config) validate(rest []string) error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, usageError{fmt.Errorf(format, args...)})
		}
	}
	check(len(rest) == 0, "unexpected argument %q", strings.Join(rest, " "))
	check(c.databaseURL != "", "DATABASE_URL is not set: want postgres://user@host:5432/database")
	check(c.logFormat == "json" || c.logFormat == "text", "--log-format %q: want json or text", c.logFormat)
	check(c.startup > 0, "--startup-timeout %v: want more than 0", c.startup)
	check((c.certificate == "") == (c.key == ""), "--tls-certificate and --tls-key belong together: one of them is missing")
	if c.certificate != "" && c.key != "" {
		pair, err := tls.LoadX509KeyPair(c.certificate, c.key)
		check(err == nil, "--tls-certificate, --tls-key: they cannot be used: %v", err)
		c.pair = &pair
	}
	check(c.sessionFor >= time.Minute && c.sessionFor <= signin.LongestSession, "--session %v: want 1m to %v", c.sessionFor, signin.LongestSession)
	errs = append(errs, c.checkSignIn()...)
	return errors.Join(errs...)
}

// checkSignIn makes the options of the sign-in.
func (c *config) checkSignIn() (errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, usageError{fmt.Errorf(format, args...)}) }
	o := &c.signIn
	if c.development {
		if c.issuer != "" || c.access != "" {
			wrong("--development takes neither an issuer nor an access file: everybody is an administrator; leave out --oidc-issuer and --access, or --development")
		}
		if c.publicURL == "" {
			c.publicURL = "http://" + c.listen
		}
		o.Development, o.Listen = &signin.Identity{Subject: "development", Name: "Development", Roles: map[uuid.UUID]signin.Role{}}, c.listen
	} else {
		// What is missing is said here, by its flag; what is given is checked with a stand-in for it.
		given := func(value, standIn, flag, want string) string {
			if value == "" {
				wrong("--%s is missing: want %s", flag, want)
				return standIn
			}
			return value
		}
		o.Issuer = given(c.issuer, "https://issuer.invalid", "oidc-issuer", "the issuer that people sign in at, or --development")
		o.ClientID = given(c.clientID, "none", "oidc-client-id", "the ID of the console at the issuer")
		o.ClientSecret = "none"
		if path := given(c.secretFile, "", "oidc-client-secret-file", "the file with the client secret that the issuer has made"); path != "" {
			o.ClientSecret = cmp.Or(c.secretOf("oidc-client-secret-file", path, wrong), o.ClientSecret)
		}
		o.Access.Groups = []signin.Grant{{}}
		if path := given(c.access, "", "access", "the file that says which group may do what"); path != "" {
			access, err := signin.ReadAccess(path)
			if err != nil {
				wrong("--access: %w", err)
			} else {
				o.Access = access
			}
		}
		c.publicURL = given(c.publicURL, "https://console.invalid", "public-url", "where people reach the console, such as https://console.example.com")
		o.Audience, o.GroupsClaim, o.SessionFor = c.audience, c.groups, c.sessionFor
	}
	if c.cookieKeyFile != "" {
		key, err := base64.StdEncoding.DecodeString(c.secretOf("cookie-key-file", c.cookieKeyFile, wrong))
		if err != nil || len(key) != signin.KeySize && len(key) > 0 {
			wrong("--cookie-key-file: want %d bytes in base64, such as from: openssl rand -base64 %[1]d", signin.KeySize)
		}
		o.Key = key
	}
	public, err := url.Parse(c.publicURL)
	if err != nil {
		wrong("--public-url is not a URL: want such as https://console.example.com")
		public, _ = url.Parse("https://console.invalid")
	}
	c.public, o.PublicURL = public, public
	if o.SessionFor < time.Minute || o.SessionFor > signin.LongestSession {
		o.SessionFor = 0 // it has been said
	}
	if err := o.Validate(); err != nil {
		errs = append(errs, usageError{err})
	}
	return errs
}

// secretOf reads a secret by the rules of package secrets: others must not be able to read its
// file. What is no path is not repeated, because somebody may have given the secret itself.
func (c *config) secretOf(flag, path string, wrong func(string, ...any)) string {
	if !filepath.IsAbs(path) {
		wrong("--%s: want the absolute path of a file, such as /etc/ledgerline/console/%[1]s", flag)
		return ""
	}
	secret, err := secrets.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		wrong("--%s: there is no file %s", flag, path)
	case errors.Is(err, fs.ErrPermission):
		wrong("--%s: this user may not read %s; give it the right to, or run as its owner", flag, path)
	case err != nil:
		wrong("--%s: %s: %w", flag, path, err)
	}
	return secret
}
