package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/ledgerline/ledgerline/internal/environ"
	"github.com/ledgerline/ledgerline/runlog"
)

func (d *databaseSide) checks(ctx context.Context) []check {
	pool, err := runlog.Open(ctx, d.app.databaseURL, 4)
	if err != nil {
		return []check{{checkPostgreSQL, checkFailed, err.Error(), "set DATABASE_URL, or --database-url"}}
	}
	d.pool = pool
	all := beside(ctx, d.timeout, d.server)
	if d.offset == nil {
		return all
	}
	return append(all, beside(ctx, d.timeout, d.fit)...)
}

// server looks at the server, whatever is in the database.
func (d *databaseSide) server(ctx context.Context) []check {
	s, err := runlog.DescribeServer(ctx, d.pool)
	if err != nil {
		return []check{{checkPostgreSQL, checkFailed, "cannot be reached: " + environ.RootCause(err), "check DATABASE_URL and that the server is up"}}
	}
	d.offset = &s.ClockOffset
	all := []check{{checkPostgreSQL, checkOK, "server " + s.Version, ""}}
	if s.Major < runlog.OldestServer {
		all[0].State, all[0].Remedy = checkFailed, fmt.Sprintf("use PostgreSQL %d or later", runlog.OldestServer)
	}
	all = append(all, tlsCheck(checkPostgreSQLTLS, s.Encrypted, s.Local, "sslmode=verify-full in DATABASE_URL"))
	commits := check{checkCommits, checkOK, "synchronous_commit is " + s.SynchronousCommit + ", fsync is " + s.Fsync, ""}
	for setting, value := range map[string]string{"synchronous_commit": s.SynchronousCommit, "fsync": s.Fsync, "full_page_writes": s.FullPageWrites} {
		if value == "off" {
			commits = check{checkCommits, checkFailed, setting + " is off: rows that were confirmed can be lost", "set " + setting + " to on"}
		}
	}
	return append(all, commits)
}

// fit looks at the schema and the login.
func (d *databaseSide) fit(ctx context.Context) []check {
	problems, err := runlog.Diagnose(ctx, d.pool, runlog.OperatorRole, runlog.ReaderRole)
	if err != nil {
		return []check{{checkSchema, checkFailed, environ.Cause(err), "see the message"}}
	}
	role := runlog.OperatorRole
	if reader, err := runlog.MayOnlyRead(ctx, d.pool); err == nil && reader != "" {
		d.readsOnly, role = true, runlog.ReaderRole
	}
	lines := map[string][]check{}
	d.usable = true
	for _, p := range problems {
		name, state, remedy := checkRules, checkFailed, p.Remedy
		switch p.Topic {
		case runlog.TopicSchema:
			name, d.usable = checkSchema, false
		case runlog.TopicRole:
			name, d.usable = checkLogin, false
		case runlog.TopicUser: // the starter does not mind; a worker refuses such a login
			name, state = checkLogin, checkWarn
		case runlog.TopicSession:
			if strings.HasPrefix(p.What, "synchronous_commit") { // has a line
				continue
			}
			name = checkLogin
		case runlog.TopicCatalogue:
			remedy = "starter migrate; what stays there has to be taken away by hand: docs/operations.md#the-self-check"
		}
		lines[name] = append(lines[name], check{name, state, p.What, remedy})
	}
	var all []check
	for _, c := range []check{
		{checkSchema, checkOK, fmt.Sprintf("fits this build, which has version %d", runlog.SchemaVersion()), ""},
		{checkLogin, checkOK, "has the role " + role + " and no other right", ""},
		{checkRules, checkOK, "owners, row-level security, rights and partitions are as starter migrate makes them", ""},
	} {
		switch {
		case len(lines[c.Name]) > 0:
			all = append(all, clipChecks(lines[c.Name])...)
		default:
			all = append(all, c)
		}
		if c.Name == checkSchema && len(lines[c.Name]) > 0 {
			return all // nothing else was looked at
		}
	}
	return all
}

// maxLines is how many lines a check has at most.
const maxLines = 20

// clipChecks counts the lines that are too many.
func clipChecks(list []check) []check {
	if len(list) <= maxLines {
		return list
	}
	rest := list[maxLines]
	rest.Found, rest.Remedy = fmt.Sprintf("and %d more", len(list)-maxLines), ""
	return append(list[:maxLines:maxLines], rest)
}
