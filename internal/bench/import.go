package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/entryfile"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

// importedLines is how many entries the file has.
const importedLines = 1_000_000

// importFile reads a Norwegian CSV file and stores its entries, as starter entries import
// does, and reports how fast and with how much memory. import_read is the same without a database.
func importFile(ctx context.Context, _ *servers) (err error) {
	server, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{Log: os.Stderr, Settings: map[string]string{"max_wal_size": "8GB"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	l, err := newLedgers(ctx, server, "imported")
	if err != nil {
		return err
	}
	defer l.close()
	path, err := writeEntries()
	if err != nil {
		return err
	}
	defer os.Remove(path)

	began := time.Now()
	if _, _, err := read(path, func(f *entryfile.File) (n int64, err error) {
		for _, err := range f.Entries(nil) {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}); err != nil {
		return err
	}
	report("import_read_1000000", importedLines/time.Since(began).Seconds(), "lines/s", none)
	began = time.Now()
	stored, most, err := read(path, func(f *entryfile.File) (int64, error) {
		done, err := runlog.ImportEntries(ctx, l.admin, uuid.New(), f.Entries(nil), runlog.ImportOptions{})
		return done.Added, err
	})
	if err == nil && stored != importedLines {
		err = fmt.Errorf("%d of %d entries were stored", stored, importedLines)
	}
	if err != nil {
		return err
	}
	report("import_1000000", importedLines/time.Since(began).Seconds(), "lines/s", atLeast(50000))
	report("import_memory_1000000", float64(most)/(1<<20), "MB", atMost(200))
	return nil
}

// read opens the file and hands it to do; most is the most memory in use meanwhile.
func read(path string, do func(*entryfile.File) (int64, error)) (n int64, most uint64, err error) {
	f, err := entryfile.OpenFile(path, nil, entryfile.Options{Now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	done := make(chan struct{})
	watched := make(chan uint64)
	go func() {
		var most uint64
		var m runtime.MemStats
		for tick := time.NewTicker(200 * time.Millisecond); ; {
			select {
			case <-tick.C:
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			case <-done:
				tick.Stop()
				watched <- most
				return
			}
		}
	}()
	n, err = do(f)
	close(done)
	return n, <-watched, err
}

// writeEntries writes a file of two entries a voucher, as a Nordic Excel would.
func writeEntries() (path string, err error) {
	out, err := os.CreateTemp("", "bench-entries-*.csv")
	if err != nil {
		return "", err
	}
	b := bufio.NewWriter(out)
	fmt.Fprint(b, "ID;Bilagsnr;Dato;Konto;Beløp;Tekst;Avdeling\r\n")
	for i := range importedLines {
		account, sign := 1920, "-"
		if i%2 == 1 {
			account, sign = 3000, ""
		}
		fmt.Fprintf(b, "E%d;V%d;%02d.10.2026;%d;%s1 234,50;Faktura %d;10\r\n", i, i/2, i/2%31+1, account, sign, i)
	}
	return out.Name(), errors.Join(b.Flush(), out.Close())
}
