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
		Use: "list", Short: "List the keys in use: every worker needs them", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			db, err := a.database(c.Context())
			if err != nil {
				return err
			}
			defer db.Close()
			list, err := runlog.ListPayloadKeys(c.Context(), db)
			if err != nil {
				return err
			}
			return a.print(c.OutOrStdout(), list, payloadKeyTable(list))
		},
	}
}

func payloadKeyTable(list []runlog.PayloadKey) [][]string {
	rows := [][]string{{"KEY", "CHECK", "FIRST USE", "LAST USE"}}
	for _, k := range list {
		id, check, _ := strings.Cut(k.Name, "/")
		rows = append(rows, []string{id, check, local(k.FirstUse), local(k.LastUse)})
	}
	return rows
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
		return fmt.Errorf("key %s stays in use: something encrypts with it, the last time at %s; set %s to another key everywhere",
			id, list[i].LastUse.UTC().Format(time.RFC3339), codec.CurrentVariable)
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
			id, count(int(older), "workflow"), until.UTC().Format(time.RFC3339))
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
