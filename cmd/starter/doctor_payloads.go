package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/codec"
	"github.com/ledgerline/ledgerline/internal/environ"
	"github.com/ledgerline/ledgerline/runlog"
)

const payloadSection = "docs/operations.md#encrypted-payloads"

// payloads compares the keys of this program with those in use, and with what workers have.
// A worker that lacks a key in use sees that itself, and says so: see waiting.
func (d databaseSide) payloads(ctx context.Context) []check {
	keys, err := codec.FromEnv(os.Getenv)
	if err != nil {
		return []check{{checkPayloads, checkFailed, err.Error(), "correct the variable or the file: " + payloadSection}}
	}
	if !d.usable {
		return nil
	}
	if d.readsOnly {
		return []check{{checkPayloads, checkAssumed, "this login may not see which are in use", "starter doctor with a login that has the role " + runlog.OperatorRole}}
	}
	used, err := runlog.ListPayloadKeys(ctx, d.pool)
	if err != nil {
		return []check{{checkPayloads, checkFailed, "the keys in use cannot be listed: " + environ.Cause(err), "see the message"}}
	}
	var lack []runlog.PayloadReader // the key that encrypts
	if keys.Current() != "" {
		if _, lack, err = runlog.PayloadReaders(ctx, d.pool, keys.Current()); err != nil {
			return []check{{checkPayloads, checkFailed, "which workers have them cannot be asked: " + environ.Cause(err), "see the message"}}
		}
	}
	return []check{payloadCheck(keys, used, lack)}
}

// payloadCheck judges the keys of this program by those in use, and by the workers that lack
// the one that encrypts.
func payloadCheck(keys *codec.Keys, used []runlog.PayloadKey, lack []runlog.PayloadReader) check {
	var names, lacks []string
	var newest runlog.PayloadKey
	for _, k := range used {
		names = append(names, k.Name)
		if !slices.Contains(keys.Names(), k.Name) {
			lacks = append(lacks, k.Name)
		}
		if k.LastUse.After(newest.LastUse) {
			newest = k
		}
	}
	current := keys.Current()
	switch {
	case len(lacks) > 0:
		return check{checkPayloads, checkFailed, "encrypted with " + codec.Words(lacks...) + ", which is not there",
			"put it into the folder of " + codec.FolderVariable + ": " + payloadSection}
	case len(lack) > 0:
		return check{checkPayloads, checkFailed,
			fmt.Sprintf("%s cannot encrypt yet, and what would encrypt with it is not sent: %s without it: %s",
				codec.Words(current), count(len(lack), "worker"), readers(lack)),
			"give it to them, or stop them; one that has crashed counts for ten minutes: starter payload-keys list, " + payloadSection}
	case current == "" && len(used) == 0:
		return check{checkPayloads, checkOK, "Temporal stores them as they are: nothing is encrypted", ""}
	case current == "":
		return check{checkPayloads, checkWarn, "what this program starts is not encrypted; in use: " + codec.Words(names...),
			"set " + codec.CurrentVariable + ", or retire what is no longer used: " + payloadSection}
	case !slices.Contains(names, current):
		return check{checkPayloads, checkOK, codec.Words(current) + " comes into use with the first call", ""}
	case newest.Name != current && time.Since(newest.LastUse) < keyIsUsed:
		return check{checkPayloads, checkWarn, "this program encrypts with " + codec.Words(current) + ", others with " + codec.Words(newest.Name),
			"normal while a key is renewed; otherwise set the same " + codec.CurrentVariable + " everywhere"}
	}
	return check{checkPayloads, checkOK, "encrypted with " + codec.Words(current) + ", which every worker that takes tasks has", ""}
}

// keyIsUsed is how long ago a key was used by somebody who still has it as the current one:
// its last use is stored to the minute.
const keyIsUsed = 5 * time.Minute
