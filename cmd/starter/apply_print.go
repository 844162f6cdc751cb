package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// sayDifferences says what differs, integration by integration: first those of the file,
// then what is removed with what follows from that. What does not differ is one line.
func sayDifferences(w io.Writer, results []applyResult) {
	same := []string{}
	for _, r := range results {
		switch r.Action {
		case runlog.ActionUnchanged:
			same = append(same, r.Name)
		case runlog.ActionCreated:
			say(w, "+ %s", r.Name)
		case runlog.ActionUpdated:
			say(w, "~ %s", r.Name)
		case runlog.ActionRemoved:
			sayRemoval(w, r)
		}
		sayFields(w, r.Changes)
	}
	if len(same) > 0 {
		say(w, "unchanged: %s", strings.Join(same, ", "))
	}
}

// sayFields says which fields differ.
func sayFields(w io.Writer, changes []integrations.FieldChange) {
	for _, c := range changes {
		switch {
		case c.Old == "":
			say(w, "    + %s: %s", c.Field, c.New)
		case c.New == "":
			say(w, "    - %s: %s", c.Field, c.Old)
		default:
			say(w, "    ~ %s: %s → %s", c.Field, c.Old, c.New)
		}
	}
}

// sayOrganizations says which organizations get other names.
func sayOrganizations(w io.Writer, before map[uuid.UUID]integrations.Organization, list []integrations.Organization) {
	for _, o := range list {
		was := before[o.ID]
		was.ID = o.ID
		if changes := integrations.DiffOrganizations(was, o); len(changes) > 0 {
			say(w, "~ organization %s", was)
			sayFields(w, changes)
		}
	}
}

// sayChannels says which channels differ. Secrets are references.
func sayChannels(w io.Writer, list []runlog.ChannelChange) {
	signs := map[runlog.ApplyAction]string{runlog.ActionCreated: "+", runlog.ActionUpdated: "~", runlog.ActionRemoved: "-"}
	for _, ch := range list {
		if sign := signs[ch.Action]; sign != "" {
			say(w, "%s notifications to %s (%s)", sign, ch.Name, ch.Kind)
			sayFields(w, ch.Changes)
		}
	}
}

// sayRemoval says what removing an integration does.
func sayRemoval(w io.Writer, r applyResult) {
	say(w, "- %s: it is no longer called; its records are kept, and it comes back when it is applied again", r.Name)
	if r.Schedule != nil {
		say(w, "    its schedule ends")
	}
	for _, p := range r.Pending {
		say(w, "    its export of %s (%s) ends as failed, with %s not sent", p.Period, p.ExportID, count(p.Planned, "entry"))
	}
}

// confirmPrune lists what pruning removes and returns nil if that is wanted: with --yes,
// or where a person at a terminal says so.
func confirmPrune(c *cobra.Command, results []applyResult, yes bool) error {
	var names []string
	for _, r := range results {
		if r.Action == runlog.ActionRemoved {
			names = append(names, r.Name)
		}
	}
	if len(names) == 0 || yes {
		return nil
	}
	in, isFile := c.InOrStdin().(*os.File)
	if !isFile || !term.IsTerminal(int(in.Fd())) || terminal(c.ErrOrStderr()) == nil {
		return usage("--prune removes %s: %s; nothing was applied. To remove what is listed above, add --yes; to see it without removing it, --dry-run",
			count(len(names), "integration"), strings.Join(names, ", "))
	}
	return askPrune(in, c.ErrOrStderr(), names)
}

// askPrune asks at a terminal. Only the whole word removes something.
func askPrune(in io.Reader, words io.Writer, names []string) error {
	say(words, "Remove %s? Type yes to remove what is listed above:", strings.Join(names, ", "))
	answer, _ := bufio.NewReader(in).ReadString('\n')
	if strings.TrimSpace(answer) == "yes" {
		return nil
	}
	return fmt.Errorf("nothing was applied: the answer was not yes; without --prune the integrations stay")
}

// sayApplied says what the table does not show.
func sayApplied(w io.Writer, results []applyResult, o runlog.ApplyOptions) {
	if o.DryRun {
		say(w, "dry run: nothing was changed")
	}
	for _, r := range results {
		if r.Action == runlog.ActionNotInFile {
			say(w, "%s: not in the file; to remove it, add --prune", r.Name)
		}
		s := r.Schedule
		switch {
		case s == nil || s.Action == engine.NoSchedule:
			continue
		case s.Schedule == "":
			say(w, "schedule %s: %s", r.Name, s.Action)
			continue
		case s.Paused:
			say(w, "schedule %s: %s and paused, %s", r.Name, s.Action, s.Schedule)
		default:
			say(w, "schedule %s: %s, %s", r.Name, s.Action, s.Schedule)
		}
		for _, remark := range s.Remarks {
			say(w, "  note: it %s", remark)
		}
		for _, f := range s.Next {
			say(w, "  %s exports %s", local(f.At), f.Period)
		}
	}
}
