package secrets

import (
	"io/fs"
	"os"

	"github.com/ledgerline/ledgerline/integrations"
)

// BeforeReading calls f before each read of a file, in its place.
func (s *Store) BeforeReading(f func(integrations.Ref)) { s.before = f }

// ReadSwapped reads a file that was another one when it was looked at.
func ReadSwapped(was, is string) ([]byte, error) {
	return read(
		func() (fs.FileInfo, error) { return os.Stat(was) },
		func() (*os.File, error) { return os.OpenFile(is, openFlags, 0) },
		func(fs.FileMode) error { return nil })
}

const (
	MaxSecret       = maxSecret
	PerOrganization = perOrganization
	PerProcess      = perProcess
)

// Reachable reports whether a prefix that is accepted reaches a variable.
func Reachable(name string) bool {
	for i, c := range name {
		if c != '_' {
			continue
		}
		list := "11111111-1111-4111-8111-111111111111=" + name[:i+1]
		if _, err := parsePrefixes(list); err == nil {
			return true
		}
	}
	return false
}
