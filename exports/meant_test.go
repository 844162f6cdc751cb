package exports_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
)

func TestMeantPeriod(t *testing.T) {
	today := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	for s, want := range map[string]string{
		"oktober": "2026-10", "October": "2026-10", "OKT": "2026-10", "okt 2026": "2026-10", "okt. 26": "2026-10", "oct-2025": "2025-10", "2026 oktober": "2026-10",
		"10/2026": "2026-10", "10.2026": "2026-10", "2026/10": "2026-10", "2026.9": "2026-09", "2026-9": "2026-09", "202610": "2026-10", " 1-2026 ": "2026-01",
		"november": "2026-11", "desember": "2025-12", "Dec": "2025-12", "mai": "2026-05", "May": "2026-05", "mars": "2026-03", "sept": "2026-09", "juni": "2026-06", "July 2027": "2027-07",
		"31.10.2026": "2026-10-31", "1/10/2026": "2026-10-01",
		"uke 45": "2026-W45", "week 3": "2026-W03", "W53": "", "uke 52": "2025-W52", "2026W45": "2026-W45", "2026-w45": "2026-W45", "u45 2026": "2026-W45",
		"": "", "ok": "", "13/2026": "", "31.02.2026": "", "2026": "", "xledger-main": "", "oktoberfest": "", "uke 54": "", "desktop": "", "2026-W54": "", "hovedbok": "",
	} {
		require.Equal(t, want, exports.MeantPeriod(s, today), "%q", s)
	}
	for m := time.January; m <= time.December; m++ { // each name, and each beginning of it
		name := strings.ToLower(m.String())
		for n := 3; n <= len(name); n++ {
			require.Equal(t, fmt.Sprintf("2026-%02d", m), exports.MeantPeriod(name[:n]+" 2026", today))
		}
	}
}

// What is proposed can be typed.
func FuzzMeantPeriod(f *testing.F) {
	for _, s := range []string{"oktober", "10/2026", "31.10.2026", "uke 45", "2026-w45", "9999-1"} {
		f.Add(s)
	}
	today := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if meant := exports.MeantPeriod(s, today); meant != "" {
			if _, _, err := exports.ParsePeriod(meant); err != nil {
				t.Fatalf("%q: %v", s, err)
			}
		}
	})
}
