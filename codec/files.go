package codec

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/secrets"
)

// The variables that name the keys.
const (
	FolderVariable  = "LEDGERLINE_PAYLOAD_KEYS" // a folder with one file for each key, named by its ID
	CurrentVariable = "LEDGERLINE_PAYLOAD_KEY"  // the ID of the key that encrypts
)

var idShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// FromEnv reads the keys that the environment names. There are none if neither variable is
// set. The error joins every error and shows no key.
func FromEnv(getenv func(string) string) (*Keys, error) {
	dir, current := getenv(FolderVariable), getenv(CurrentVariable)
	switch {
	case dir == "" && current == "":
		return &Keys{}, nil
	case dir == "":
		return nil, fmt.Errorf("%s names a key and %s no folder; set both", CurrentVariable, FolderVariable)
	case !filepath.IsAbs(dir) || filepath.Clean(dir) != dir:
		return nil, fmt.Errorf("%s: want the absolute path of a folder, such as /run/ledgerline/payload-keys", FolderVariable)
	case current != "" && !idShape.MatchString(current): // not shown: it may be the key itself
		return nil, fmt.Errorf("%s: want the ID of a key, that is, the name of its file", CurrentVariable)
	}
	files, err := secrets.ReadFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", FolderVariable, err)
	}
	var errs []error
	byID := make(map[string][]byte)
	for _, id := range slices.Sorted(maps.Keys(files)) {
		if !idShape.MatchString(id) {
			errs = append(errs, fmt.Errorf("%s: the name %.80q is no key ID: want at most 63 letters, digits, dots, dashes and underscores, such as 2026-11",
				FolderVariable, id))
			continue
		}
		secret, err := parseKey(files[id])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: key %s: %w", FolderVariable, id, err))
			continue
		}
		byID[id] = secret
	}
	if _, ok := byID[current]; !ok && current != "" && len(errs) == 0 {
		// The name is not shown: it may be the key itself.
		errs = append(errs, fmt.Errorf("%s: the folder of %s has no file of that name; it has %s",
			CurrentVariable, FolderVariable, strings.Join(slices.Sorted(maps.Keys(byID)), ", ")))
	}
	if len(byID) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%s: the folder has no key; make one with openssl rand -base64 32", FolderVariable))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return New(current, byID)
}

// parseKey reads 32 bytes, written in hexadecimal digits or in base64, of either alphabet.
func parseKey(text string) ([]byte, error) {
	decoders := []func(string) ([]byte, error){base64.StdEncoding.DecodeString, base64.URLEncoding.DecodeString,
		base64.RawStdEncoding.DecodeString, base64.RawURLEncoding.DecodeString}
	if len(text) == hex.EncodedLen(KeySize) {
		decoders = []func(string) ([]byte, error){hex.DecodeString}
	}
	for _, decode := range decoders {
		if secret, err := decode(text); err == nil {
			if len(secret) != KeySize {
				return nil, fmt.Errorf("has %d bytes; want %d: make one with openssl rand -base64 32", len(secret), KeySize)
			}
			if slices.Max(secret) == slices.Min(secret) {
				return nil, errors.New("is the same byte throughout; make one with openssl rand -base64 32")
			}
			return secret, nil
		}
	}
	return nil, fmt.Errorf("is neither base64 nor %d hexadecimal digits; make one with openssl rand -base64 32", hex.EncodedLen(KeySize))
}
