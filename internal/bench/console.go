package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ledgerline/ledgerline/console"
	"github.com/ledgerline/ledgerline/console/signin"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

// consolePages measures how long each page of the console takes to be made, behind
// five million entries, 10,000 exports and 500 integrations: from the request to the last
// byte, one request at a time, without a network.
func consolePages(ctx context.Context, _ *servers) (err error) {
	server, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{
		Log: os.Stderr, Settings: map[string]string{"max_wal_size": "2GB", "wal_level": "minimal", "max_wal_senders": "0", "shared_buffers": "1GB", "autovacuum": "off"},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	l, err := newLedgers(ctx, server, "console")
	if err != nil {
		return err
	}
	defer l.close()
	org, err := books(ctx, l.admin)
	if err != nil {
		return err
	}
	if _, err := l.admin.Exec(ctx, "CREATE ROLE console LOGIN IN ROLE ledgerline_console"); err != nil {
		return err
	}
	pool, err := runlog.Open(ctx, server.URL("console", "console"), 8)
	if err != nil {
		return err
	}
	defer pool.Close()
	began := time.Now()
	if _, err := runlog.SumExports(ctx, pool, org.ID); err != nil {
		return err
	}
	fmt.Printf("# console: the sums of %d exports were counted in %.0f s\n", bookIntegrations*bookMonths, time.Since(began).Seconds())
	if _, err := l.admin.Exec(ctx, "VACUUM (ANALYZE) ledgerline.export_sums"); err != nil {
		return err
	}
	return pagesOf(ctx, pool, "/o/"+org.Short)
}

// pagesOf measures the pages of an organization.
func pagesOf(ctx context.Context, pool *pgxpool.Pool, base string) error {
	public := &url.URL{Scheme: "http", Host: "127.0.0.1:8090"}
	who, err := signin.New(ctx, signin.Options{PublicURL: public, Development: &signin.Identity{Subject: "development", Name: "Development", Roles: map[uuid.UUID]signin.Role{}}, Listen: public.Host})
	if err != nil {
		return err
	}
	// The month after the newest one, so that nothing is missed.
	now := bookMonth.AddDate(0, 1, 9)
	c, err := console.New(console.Options{DB: pool, SignIn: who, PublicURL: public, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Development: true, Now: func() time.Time { return now }})
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	big := base + "/periods/xledger-001/" + bookMonth.Format("2006-01")
	for _, page := range []struct {
		name string
		path func(i int) string
	}{
		{"overview", func(int) string { return base }},
		{"overview_search", func(i int) string { return fmt.Sprintf("%s?search=%03d", base, i%500) }},
		{"period", func(int) string { return big }},
		{"period_after", func(i int) string { return fmt.Sprintf("%s?after=V%08d", big, i*31_337) }},
		{"period_refused", func(i int) string { return fmt.Sprintf("%s?state=refused&after=V%08d", big, i*31_337) }},
		{"period_search", func(i int) string { return fmt.Sprintf("%s?search=faktura+%d", big, i) }},
		{"period_search_nothing", func(i int) string { return fmt.Sprintf("%s?search=nowhere&after=V%08d", big, i*31_337) }},
		{"period_small", func(i int) string { return fmt.Sprintf("%s/periods/xledger-%03d/2026-09", base, i%500+1) }},
		{"attention", func(int) string { return base + "/attention" }},
		{"calls", func(int) string { return base + "/calls" }},
		{"calls_filtered", func(i int) string {
			return fmt.Sprintf("%s/calls?integration=xledger-%03d&class=permanent", base, i%500+1)
		}},
		{"voucher", func(i int) string { return fmt.Sprintf("%s/vouchers/V%08d", base, i*1777) }},
		{"integration", func(i int) string { return fmt.Sprintf("%s/integrations/xledger-%03d", base, i%500+1) }},
		{"history", func(int) string { return base + "/history" }},
	} {
		var took []float64
		for i := range 65 {
			req := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://"+public.Host+page.path(i), nil)
			req.RemoteAddr = "127.0.0.1:40000"
			res := httptest.NewRecorder()
			began := time.Now()
			c.ServeHTTP(res, req)
			if res.Code != http.StatusOK {
				return fmt.Errorf("%s: %d: %.500s", page.path(i), res.Code, res.Body)
			}
			if i >= 5 { // connections are made, statements prepared
				took = append(took, time.Since(began).Seconds()*1000)
			}
		}
		slices.Sort(took)
		fmt.Printf("# console: %s: median %.0f ms\n", page.name, median(took))
		report("console_"+page.name+"_p95", took[len(took)*95/100], "ms", atMost(100))
	}
	return nil
}
