package main

import (
	"os"
	"os/user"
	"strings"

	"github.com/ledgerline/ledgerline/plain"
)

// whoami is the actor on record for what this command does: $LEDGERLINE_ACTOR, or
// user@host.
func whoami() string {
	if actor := identity(os.Getenv("LEDGERLINE_ACTOR")); actor != "" {
		return actor
	}
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil && host != "" {
		name += "@" + host
	}
	return identity(name)
}

// identity makes a name fit to be shown and stored: one line, at most 200 characters.
func identity(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if plain.Seen(string(r)) != nil {
			return -1
		}
		return r
	}, s))
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200])
	}
	return s
}
