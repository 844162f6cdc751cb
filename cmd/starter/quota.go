package main

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/runlog"
)

// quotaLine is an integration's requests of a month, their share of the limit and
// their price.
type quotaLine struct {
	runlog.MonthlyUsage
	Percent  *int   `json:"percent,omitempty"`  // of the limit; absent without one
	Estimate string `json:"estimate,omitempty"` // by the vendor's price list, "GBP 12.30"
}

func (a *app) quota() *cobra.Command {
	var org, month string
	c := &cobra.Command{
		Use: "quota --org NAME", Short: "Show the requests of a month by integration and purpose, and the limits",
		Long: `Shows how many requests each integration has sent in a month (UTC), for which
purposes, and how much of its limit that is. Workers store their counts every 5
seconds; what a killed worker had not stored is missing. The estimate uses Xledger's
price list for the United Kingdom: 5,000 requests a month are included, each further
one is GBP 0.01.`,
		Args: noArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if _, err := time.Parse("2006-01", month); err != nil {
				return usage("--month %q: want a month such as 2026-11", month)
			}
			return nil
		},
		RunE: a.onOrganization(&org, func(s *session) error {
			list, err := runlog.ListUsage(s.command.Context(), s.db, s.organization, month)
			if err != nil {
				return err
			}
			lines := make([]quotaLine, len(list))
			for i, u := range list {
				lines[i] = quotaOf(u)
			}
			return a.print(s.command.OutOrStdout(), lines, quotaTable(lines))
		}),
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&month, "month", limits.Month(time.Now()), "calendar `month`, UTC")
	c.Flags().Lookup("month").DefValue = "this one"
	return c
}

func quotaOf(u runlog.MonthlyUsage) quotaLine {
	line := quotaLine{MonthlyUsage: u}
	if q := u.Limits.Quota(); q.Monthly > 0 {
		percent := q.Percent(u.Total)
		line.Percent = &percent
	}
	if v, _ := vendors.Lookup(u.Adapter); v.Price != nil {
		line.Estimate = v.Price.Estimate(u.Total)
	}
	return line
}

func quotaTable(lines []quotaLine) [][]string {
	heading := []string{"INTEGRATION", "ADAPTER"}
	for _, p := range limits.Purposes() {
		heading = append(heading, map[limits.Purpose]string{
			limits.Attempt: "CALLS", limits.Readback: "READBACKS", limits.Lookup: "LOOKUPS", limits.Probe: "PROBES", limits.WarmUp: "WARM-UPS", limits.Token: "TOKENS",
		}[p])
	}
	rows := [][]string{append(heading, "TOTAL", "LIMIT", "USED", "ESTIMATE")}
	for _, l := range lines {
		row := []string{l.Name, l.Adapter}
		for _, p := range limits.Purposes() {
			row = append(row, strconv.FormatInt(l.Requests[p], 10))
		}
		limit, used := "-", "-"
		if l.Percent != nil {
			limit, used = strconv.FormatInt(l.Limits.MonthlyRequests, 10), strconv.Itoa(*l.Percent)+" %"
		}
		rows = append(rows, append(row, strconv.FormatInt(l.Total, 10), limit, used, dash(l.Estimate)))
	}
	return rows
}
