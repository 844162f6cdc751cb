package secrets

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// reserved begin the names of variables that the programs themselves read, or
// libraries in them. No organization's prefix reaches them. A name without an
// underscore, such as HOME, cannot be reached at all.
var reserved = []string{
	"LEDGERLINE_", "DATABASE_", "PG", "TEMPORAL_", // the programs' own, and of their two servers
	"OTEL_", "GRPC_", "HTTP_", "HTTPS_", "NO_", "ALL_", "SSL_", "XDG_", // of libraries
	"CREDENTIALS_", "NOTIFY_", "LISTEN_", "KUBERNETES_", // of what starts the programs
}

var prefixShape = regexp.MustCompile(`^[A-Z][A-Z0-9_]*_$`)

// FromEnv makes the store that the environment describes:
//
//	LEDGERLINE_SECRETS             a folder with a folder for each organization
//	LEDGERLINE_ENV_SECRETS         <organization UUID>=PREFIX_, comma-separated
//	LEDGERLINE_DEV_SHARED_SECRETS  true, for development only
//
// The error joins every error.
func FromEnv(getenv func(string) string) (*Store, error) {
	s := &Store{Dir: getenv("LEDGERLINE_SECRETS")}
	var errs []error
	if s.Dir != "" && (!filepath.IsAbs(s.Dir) || filepath.Clean(s.Dir) != s.Dir) {
		errs = append(errs, errors.New("LEDGERLINE_SECRETS: want the absolute path of a folder, such as /run/ledgerline/secrets"))
	}
	switch getenv("LEDGERLINE_DEV_SHARED_SECRETS") {
	case "", "false":
	case "true":
		s.DevShared = true
	default:
		errs = append(errs, errors.New("LEDGERLINE_DEV_SHARED_SECRETS: want true or false"))
	}
	var err error
	if s.Prefixes, err = parsePrefixes(getenv("LEDGERLINE_ENV_SECRETS")); err != nil {
		errs = append(errs, err)
	}
	return s, errors.Join(errs...)
}

// parsePrefixes reads LEDGERLINE_ENV_SECRETS; "" is nil. Entries are named by
// their position, since one that is wrong may hold anything.
func parsePrefixes(list string) (map[uuid.UUID]string, error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	prefixes := make(map[uuid.UUID]string)
	var errs []error
	for i, entry := range strings.Split(list, ",") {
		wrong := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("LEDGERLINE_ENV_SECRETS: entry %d: %s", i+1, fmt.Sprintf(format, args...)))
		}
		id, prefix, ok := strings.Cut(strings.TrimSpace(entry), "=")
		organization, err := uuid.Parse(id)
		if !ok || err != nil || len(id) != 36 || organization == uuid.Nil {
			wrong("want <organization UUID>=PREFIX_")
			continue
		}
		if !prefixShape.MatchString(prefix) {
			wrong("want a prefix of capital letters, digits and underscores that ends in an underscore, such as ACME_")
			continue
		}
		if _, twice := prefixes[organization]; twice {
			wrong("organization %s has a prefix already; want one for each", organization)
			continue
		}
		for _, r := range reserved {
			if overlap(prefix, r) {
				wrong("prefix %s reaches %s…, which the programs themselves read; want another one", prefix, r)
			}
		}
		for other, taken := range prefixes {
			if overlap(prefix, taken) {
				wrong("prefix %s of organization %s and prefix %s of organization %s reach the same variables; want prefixes of which none begins with another", prefix, organization, taken, other)
			}
		}
		prefixes[organization] = prefix
	}
	return prefixes, errors.Join(errs...)
}

func overlap(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }
