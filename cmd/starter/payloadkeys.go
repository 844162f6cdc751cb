package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/codec"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/when"
)

// usePayloadKeys checks that this command can read what workers answer, and takes its key
// into use if every worker has it.
func usePayloadKeys(ctx context.Context, db *pgxpool.Pool) error {
	keys, err := codec.FromEnv(os.Getenv)
	if err != nil {
		return usage("%w", err)
	}
	lacks, err := runlog.LackedPayloadKeys(ctx, db, keys.Names())
	if err != nil {
		return err
	}
	if len(lacks) > 0 {
		return fmt.Errorf("payloads are encrypted with %s, which is not there: put it into the folder of %s",
			codec.Words(lacks...), codec.FolderVariable)
	}
	if keys.Current() == "" {
		return nil
	}
	lacking, err := runlog.UsePayloadKey(ctx, db, keys.Current())
	if err != nil {
		return err
	}
	if len(lacking) > 0 {
		return fmt.Errorf("nothing was sent: %s cannot encrypt yet, because workers lack it: %s; "+
			"give it to them first, or stop them: one that has crashed counts for ten minutes",
			codec.Words(keys.Current()), runlog.ReaderWords(lacking))
	}
	return nil
}

func (a *app) payloadKeys() *cobra.Command {
	c := &cobra.Command{Use: "payload-keys", Short: "See which keys encrypt what Temporal stores, and retire old ones"}
	c.AddCommand(a.payloadKeysList(), a.payloadKeysRetire())
	return c
}

func (a *app) payloadKeysList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the keys in use and those of this program, and which workers have each", Args: noArgs,
		Long: `Lists the keys in use, which every worker needs, and those of this program
($` + codec.FolderVariable + `) that are not in use yet: which workers have each, and which lack it. A key
cannot come into use before every worker has it. A worker that has crashed counts for
ten minutes; one that lacks a key in use takes no tasks and is not listed here: see
starter doctor.`,
		RunE: func(c *cobra.Command, _ []string) error {
			keys, err := codec.FromEnv(os.Getenv)
			if err != nil {
				return usage("%w", err)
			}
			db, err := a.database(c.Context())
			if err != nil {
				return err
			}
			defer db.Close()
			list, err := heldKeys(c.Context(), db, keys.Names())
			if err != nil {
				return err
			}
			if len(list) == 0 && a.output != outputJSON {
				return say(c.ErrOrStderr(), "no keys: what Temporal stores is not encrypted; $%s names a folder of keys: docs/operations.md#encrypted-payloads", codec.FolderVariable)
			}
			return a.print(c.OutOrStdout(), list, payloadKeyTable(list))
		},
	}
}

// heldKey is a key and the workers that have it. Its times are zero if it is not in use.
type heldKey struct {
	runlog.PayloadKey
	Have []runlog.PayloadReader `json:"have"`
	Lack []runlog.PayloadReader `json:"lack"`
}

// heldKeys are the keys in use, the oldest first, and those of the names that are not.
func heldKeys(ctx context.Context, db *pgxpool.Pool, names []string) (list []heldKey, err error) {
	used, err := runlog.ListPayloadKeys(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(used, func(k runlog.PayloadKey) bool { return k.Name == name }) {
			used = append(used, runlog.PayloadKey{Name: name})
		}
	}
	for _, k := range used {
		h := heldKey{PayloadKey: k}
		if h.Have, h.Lack, err = runlog.PayloadReaders(ctx, db, k.Name); err != nil {
			return nil, err
		}
		list = append(list, h)
	}
	return list, nil
}

func payloadKeyTable(list []heldKey) [][]string {
	rows := [][]string{{"KEY", "CHECK", "FIRST USE", "LAST USE", "HAVE IT", "LACK IT"}}
	for _, k := range list {
		id, check, _ := strings.Cut(k.Name, "/")
		first, last := "not in use", "-"
		if !k.FirstUse.IsZero() {
			first, last = local(k.FirstUse), local(k.LastUse)
		}
		rows = append(rows, []string{id, check, first, last, dash(readers(k.Have)), dash(readers(k.Lack))})
	}
	return rows
}

// readers names the first workers of a list.
func readers(list []runlog.PayloadReader) string {
	var names []string
	for _, r := range list {
		names = append(names, r.Label)
	}
	return strings.ReplaceAll(some(names), ", process ", " process ")
}

func (a *app) payloadKeysRetire() *cobra.Command {
	return &cobra.Command{
		Use: "retire KEY", Short: "Take a key out of use, so that workers no longer need it", Args: exactly(1, "one key"),
		Long: `Takes a key out of use, so that its file can be removed everywhere. It encrypts
what schedules start with the present key ($` + codec.CurrentVariable + `), and
refuses as long as Temporal has a workflow that was started before the key was used
for the last time: its history could not be read. That is until the namespace's
retention has passed. Apply, pause or resume nothing meanwhile: Temporal would take
a schedule as it was just before.`,
		RunE: func(c *cobra.Command, args []string) error {
			db, err := a.database(c.Context())
			if err != nil {
				return err
			}
			defer db.Close()
			return a.retire(c.Context(), c.ErrOrStderr(), db, args[0])
		},
	}
}

// lastUseAccuracy is how much later than recorded a key may have been used.
const lastUseAccuracy = 2 * time.Minute

func (a *app) retire(ctx context.Context, words io.Writer, db *pgxpool.Pool, id string) error {
	keys, err := codec.FromEnv(os.Getenv)
	if err != nil {
		return usage("%w", err)
	}
	list, err := runlog.ListPayloadKeys(ctx, db)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(k runlog.PayloadKey) bool { return strings.HasPrefix(k.Name, id+"/") })
	switch {
	case i < 0:
		return fmt.Errorf("key %q is not in use; see starter payload-keys list", id)
	case list[i].Name == keys.Current() || len(list) == 1 && keys.Current() == "":
		return fmt.Errorf("key %s stays in use: set %s to another key first", id, codec.CurrentVariable)
	}
	until := list[i].LastUse.Add(lastUseAccuracy)
	if time.Now().Before(until) {
		return fmt.Errorf("key %s stays in use: something encrypts with it, the last time on %s; set %s to another key everywhere",
			id, when.Local(list[i].LastUse), codec.CurrentVariable)
	}
	if err := usePayloadKeys(ctx, db); err != nil {
		return err
	}
	temporal, _, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	defer temporal.Close()
	n, err := engine.RewriteSchedules(ctx, temporal)
	if err != nil {
		return fmt.Errorf("key %s stays in use: schedules: %w", id, err)
	}
	say(words, "%s encrypted again", count(n, "schedule"))
	older, err := engine.CountStartedBefore(ctx, temporal, until)
	if err != nil {
		return err
	}
	if older > 0 {
		return fmt.Errorf("key %s stays in use: Temporal has %s that were started before %s, when it was used for the last time; "+
			"try again when the namespace's retention has passed",
			id, count(int(older), "workflow"), when.Local(until))
	}
	done, err := runlog.RetirePayloadKey(ctx, db, list[i])
	if err != nil {
		return err
	}
	if !done {
		return fmt.Errorf("key %s stays in use: something has just encrypted with it; set %s to another key everywhere, and try again later",
			id, codec.CurrentVariable)
	}
	return say(words, "key %s is retired: its file can be removed everywhere", id)
}
