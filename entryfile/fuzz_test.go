package entryfile

import (
	"encoding/csv"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/unicode"
)

// What encoding/csv reads, our reader reads the same, and it goes on where the other ends.
func FuzzCSVAgainstStandard(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "\"a,\"\"b\",c\r\nd", "a\r\nb", "\"a\nb\",c\n,\n", "æ,\"ø\"\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		in := csv.NewReader(strings.NewReader(text))
		in.FieldsPerRecord = -1
		want, err := in.ReadAll()
		if err != nil || strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\r") || strings.Contains(text, "\ufeff") {
			return // lone \r, byte order marks, and quotes that it refuses
		}
		ours := newCSVRows(strings.NewReader(text), ',')
		var got [][]string
		for r := (row{}); ; {
			if err := ours.next(&r); isEnd(err) {
				break
			} else if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if len(r.cells) > 1 || r.cells[0] != "" { // it leaves out lines without anything
				got = append(got, append([]string(nil), r.cells...))
			}
			if len(r.at) != len(r.cells) {
				t.Fatalf("%q: %d places for %d cells", text, len(r.at), len(r.cells))
			}
		}
		var wanted [][]string
		for _, w := range want {
			if len(w) > 1 || w[0] != "" {
				wanted = append(wanted, w)
			}
		}
		if len(got) != len(wanted) {
			t.Fatalf("%q: %q, want %q", text, got, wanted)
		}
		for i := range got {
			if strings.Join(got[i], "\x00") != strings.Join(wanted[i], "\x00") {
				t.Fatalf("%q: %q, want %q", text, got[i], wanted[i])
			}
		}
	})
}

// An amount that is read has the digits of its text, and means the same when it is read again.
func FuzzAmount(f *testing.F) {
	for _, s := range []string{"1 234,50", "-1.234", "(5,00)", "5-", "\u22125", "1'000'000.00", "kr 5", "1e5", ",5", "0,00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, decimal := range []byte{'.', ','} {
			out, _, err := parseAmount(trimBlanks(s), decimal)
			if err != nil {
				continue
			}
			if !jsonAmount.MatchString(out) {
				t.Fatalf("%q is %q", s, out)
			}
			digits := func(s string) string {
				return strings.Trim(strings.Map(func(c rune) rune {
					if c < '0' || c > '9' {
						return -1
					}
					return c
				}, s), "0")
			}
			if digits(out) != digits(s) {
				t.Fatalf("%q is %q", s, out)
			}
			again, _, err := parseAmount(out, '.')
			if err != nil || again != out {
				t.Fatalf("%q is %q, then %q: %v", s, out, again, err)
			}
			if sign := evidence(trimBlanks(s)); sign != 0 && sign != '?' && sign != decimal && strings.ContainsRune(s, rune(sign)) && strings.ContainsRune(out, '.') {
				t.Fatalf("%q decides for %q, and was read as %q with %q", s, sign, out, decimal)
			}
		}
	})
}

// A stored number is rounded by less than anybody means.
func FuzzStoredAmount(f *testing.F) {
	for _, s := range []string{"1234.5600000000001", "-1E-7", "1E+15", "0.30000000000000004", "99999999999999.995"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !storedNumber(s) {
			return
		}
		out, err := storedAmount(s)
		if err != nil {
			return
		}
		was, _ := new(big.Rat).SetString(s)
		is, ok := new(big.Rat).SetString(out)
		if !ok || !jsonAmount.MatchString(out) || new(big.Rat).Abs(new(big.Rat).Sub(was, is)).Cmp(noise) > 0 {
			t.Fatalf("%q is %q", s, out)
		}
	})
}

// A date that is read is one of the calendar in the years that are allowed, and no two orders
// read one form that says its order.
func FuzzDate(f *testing.F) {
	for _, s := range []string{"2026-10-31", "31.10.2026", "10/31/2026", "20261031", "46326", "2026-10-31T00:00:00Z", "31.10.26", "0001-01-01"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, workbook bool) {
		day := &dates{order: DayFirst, now: now, known: map[dateCell]time.Time{}}
		month := &dates{order: MonthFirst, now: now, known: map[dateCell]time.Time{}}
		a, errA := day.parse(s, workbook)
		b, errB := month.parse(s, workbook)
		for _, d := range []time.Time{a, b} {
			if (errA == nil || d != a) && (errB == nil || d != b) && (d.Year() < 1990 || d.Year() > 2027 || d.Hour() != 0) {
				t.Fatalf("%q is %v", s, d)
			}
		}
		if errA == nil && errB == nil && a != b && day.form(dateCell{s, workbook}) != formOpen && !strings.Contains(s, ".") {
			t.Fatalf("%q is %v and %v, and its form is %q", s, a, b, day.form(dateCell{s, workbook}))
		}
	})
}

// Whatever the bytes, reading ends with entries or an error, and twice with the same.
func FuzzFile(f *testing.F) {
	f.Add(nordic+"1;V;31.10.2026;1920;-1 234,50;Kjøp\n", "", true)
	f.Add(ansi(nordic)+"1;V;31.10.2026;1920;-1.234;x\n", ",", false)
	f.Add(utf16(unicode.BigEndian, nordic), "", false)
	f.Fuzz(func(t *testing.T, text, sign string, ignore bool) {
		file, err := Open("e", strings.NewReader(text), Options{DecimalSign: sign, IgnoreColumns: ignore, Now: now})
		if err != nil {
			return
		}
		defer file.Close()
		first, errA := all(file)
		second, errB := all(file)
		if len(first) != len(second) || (errA == nil) != (errB == nil) {
			t.Fatalf("%d and %d entries, %v and %v", len(first), len(second), errA, errB)
		}
		if errA == nil && len(first) == 0 {
			t.Fatal("neither entries nor an error")
		}
	})
}
