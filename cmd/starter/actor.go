package main

import (
	"os"
	"os/user"
	"strings"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/plain"
)

// actorVariable names who works with this program.
const actorVariable = "LEDGERLINE_ACTOR"

// maxActor is the most characters of an actor.
const maxActor = 200

// checkActor refuses what cannot be put on record as the actor; "" is user@host.
func checkActor(actor string) error {
	if err := plain.Seen(actor); err != nil {
		return usage("%s %w; want your name or address", actorVariable, err)
	}
	if n := utf8.RuneCountInString(actor); n > maxActor {
		return usage("%s has %d characters; want your name or address, at most %d", actorVariable, n, maxActor)
	}
	return nil
}

// whoami is the actor on record for what this command does: $LEDGERLINE_ACTOR, or
// user@host.
func whoami() string {
	if actor := identity(os.Getenv(actorVariable)); actor != "" {
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

// identity makes a name fit to be shown and stored: one line, at most [maxActor] characters.
func identity(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if plain.Seen(string(r)) != nil {
			return -1
		}
		return r
	}, s))
	if r := []rune(s); len(r) > maxActor {
		s = string(r[:maxActor])
	}
	return s
}
