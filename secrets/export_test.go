package secrets

import (
	"io/fs"
	"os"
)

// ReadWith replaces how files are read.
func (s *Store) ReadWith(read func(dir, name string) ([]byte, error)) {
	s.inRoot = func(dir, name string, _ bool) ([]byte, error) { return read(dir, name) }
}

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
