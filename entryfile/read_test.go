package entryfile

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
)

func open(t testing.TB, name, text string, o Options) *File {
	t.Helper()
	f, err := Open(name, strings.NewReader(text), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

func all(f *File) (entries []runlog.AccountingEntry, err error) {
	for e, err := range f.Entries(nil) {
		if err != nil {
			return entries, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func readAll(t testing.TB, name string, format Format, text string) (entries []runlog.AccountingEntry, err error) {
	t.Helper()
	return all(open(t, name, text, Options{Format: format}))
}

const head = "entry_id,voucher_id,entry_date,account,amount,currency,text,dimensions\n"

// What exports may not take of a file's entries is noted as they pass: of the last reading, and
// not of a line that is wrong.
func TestContents(t *testing.T) {
	f := open(t, "a.csv", head+`1,V,2026-10-31,1920,5,EUR,,"{""department"": ""10""}"`+"\n2,V,2026-10-31,3000,-5,NOK\n", Options{})
	require.Equal(t, integrations.Contents{}, f.Contents(), "nothing has passed")
	var want integrations.Contents
	want.Note("EUR", "1920", map[string]string{"department": "10"})
	want.Note("NOK", "3000", nil)
	for range 2 {
		_, err := all(f)
		require.NoError(t, err)
		require.Equal(t, want, f.Contents())
	}
	for range f.Entries(nil) {
		break
	}
	want = integrations.Contents{}
	want.Note("EUR", "1920", map[string]string{"department": "10"})
	require.Equal(t, want, f.Contents())
	f = open(t, "a.csv", head+"1,V,2026-10-31,1920,x,EUR\n", Options{})
	_, err := all(f)
	require.Error(t, err)
	require.Equal(t, integrations.Contents{}, f.Contents())
}

// The same entries in both formats, recognized by name or by first character.
func TestReadEntries(t *testing.T) {
	csv := "\ufeff" + head +
		`1,V,2026-10-31, 1920 ,-1250.50,,"Kaffe, te og ""mer""","{""department"": ""10""}"` + "\r\n" +
		`2,V,2026-10-31,3000,999999999999999999.99,EUR,,` + "\n" +
		`3,W,2026-10-31,3000,7` + "\n"
	jsonl := "\ufeff" + `{"entry_id": "1", "voucher_id": "V", "entry_date": "2026-10-31", "account": "1920", "amount": -1250.50, "text": "Kaffe, te og \"mer\"", "dimensions": {"department": "10", "none": null}}` + "\n\n" +
		`{"entry_id":"2","voucher_id":"V","entry_date":"2026-10-31","account":"3000","amount":999999999999999999.99,"currency":"EUR","text":null,"dimensions":{}}` + "\r\n" +
		` {"entry_id":"3","voucher_id":"W","entry_date":"2026-10-31","account":"3000","amount":"7"}`
	for _, c := range []struct {
		name   string
		format Format
		text   string
	}{
		{"e.csv", "", csv}, {"-", "", csv}, {"e.jsonl", "csv", csv}, {"e.jsonl", "", jsonl}, {"e.NDJSON", "", jsonl}, {"-", "", jsonl}, {"e.csv", "jsonl", jsonl},
	} {
		entries, err := readAll(t, c.name, c.format, c.text)
		require.NoError(t, err, c.name)
		require.Len(t, entries, 3)
		for i, want := range []string{"1 V 2026-10-31 1920 -1250.50 NOK", "2 V 2026-10-31 3000 999999999999999999.99 EUR", "3 W 2026-10-31 3000 7 NOK"} {
			e := entries[i]
			require.Equal(t, want, fmt.Sprint(e.EntryID, " ", e.VoucherID, " ", e.Date.Format("2006-01-02"), " ", e.Account, " ", e.Amount, " ", e.Currency), c.name)
		}
		require.Equal(t, `Kaffe, te og "mer"`, entries[0].Text)
		require.Equal(t, map[string]string{"department": "10"}, entries[0].Dimensions)
		require.Empty(t, entries[1].Dimensions)
	}
}

func TestReadEntriesErrors(t *testing.T) {
	object := func(change ...string) string {
		return strings.NewReplacer(change...).Replace(`{"entry_id":"1","voucher_id":"V","entry_date":"2026-10-31","account":"3000","amount":7,"text":"x"}`)
	}
	for _, c := range []struct{ name, text, says string }{
		{"e.csv", "", "e.csv:1:1: the file is empty"},
		{"e.csv", head, "e.csv:1:1: no entries"},
		{"e.csv", "entry_id,konto\n", "e.csv:1:1: column voucher_id is missing: the columns are entry_id, konto; add --columns voucher_id=HEADING"},
		{"e.csv", strings.Replace(head, "text", "entry_id", 1), `e.csv:1:56: columns "entry_id" and "entry_id" are both entry_id: rename one`},
		{"e.csv", head + "1,V,oct 31,3000,7\n", `e.csv:2:5: entry_date "oct 31": want a date such as 2026-10-31`},
		{"e.csv", head + "1,V,2026-02-29,3000,7\n", `e.csv:2:5: entry_date "2026-02-29"`},
		{"e.csv", head + "1,,2026-10-31,3000,7\n", "e.csv:2:3: voucher_id is missing"},
		{"e.csv", head + "1,V,2026-10-31\n", "e.csv:2:1: account is missing"},
		{"e.csv", head + "1,V,2026-10-31,3000,\"10,50,0\"\n", `e.csv:2:21: amount "10,50,0" has groups that are not of three digits`},
		{"e.csv", head + "1,V,2026-10-31,3000,1e3\n", `amount "1e3"`},
		{"e.csv", head + "1,V,2026-10-31,3000,0.001\n", `amount "0.001"`},
		{"e.csv", head + "1,V,2026-10-31,3000,7,kr\n", `e.csv:2:23: currency "kr": want three letters`},
		{"e.csv", head + "1,V,2026-10-31,3000,7,NOK,a\x07b\n", "e.csv:2:27: text has the control character U+0007 at its character 2"},
		{"e.csv", head + "1,V,2026-10-31,3000,7,NOK,æ\xff\n", "e.csv:2:28: byte 0xFF is not UTF-8, and other characters of the file are"},
		{"e.csv", head + "1,V,2026-10-31,3000,7,NOK,a\u202eb\n", "U+202E"},
		{"e.csv", head + "1,V,2026-10-31,3000,7,NOK," + strings.Repeat("æ", 501) + "\n", "want at most 500 characters"},
		{"e.csv", head + strings.Repeat("x", 201) + ",V,2026-10-31,3000,7\n", "want a name of at most 200 characters"},
		{"e.csv", head + "1,V,2026-10-31,3000,7,NOK,x,10\n", "e.csv:2:29: dimensions: not a JSON object"},
		{"e.csv", head + `1,V,2026-10-31,3000,7,NOK,x,"{""a"": 1}"` + "\n", "e.csv:2:29: dimensions.a is a number: want a text"},
		{"e.csv", head + "1,V,2026-10-31,3000,7,NOK,x,,y\n", "e.csv:2:30: 9 values for 8 columns"},
		{"e.csv", head + "1,V,2026-10-31,3000,7,NOK,\"x\n", `e.csv:2:27: a quote is not closed; the rest of the file was not read`},
		{"e.csv", head + "1,V,2026-10-31,3000,7\n2,V,2026-10-31,3000,7,NOK,\"x\n" + strings.Repeat("3,V,2026-10-31,3000,7\n", 100_000), "e.csv:3:1: an entry of more than 1048576 bytes; is a quote not closed?"},
		{"e.csv", head + "1,V,2026-10-31,3000,7\n2,V,2026-10-31,3000,7\n1,W,2026-10-31,3000,7\n", `e.csv:4:1: duplicate entry_id "1" (first on line 2)`},
		{"e.jsonl", object(`"7"`, ``, `7,`, `"x",`), `e.jsonl:1:86: amount "x"`},
		{"e.jsonl", object(`7,`, `1e2,`), `e.jsonl:1:86: amount "1e2"`},
		{"e.jsonl", object(`7,`, `7.001,`), `amount "7.001"`},
		{"e.jsonl", object(`7,`, `true,`), "e.jsonl:1:86: amount is a boolean: want a text: a decimal number"},
		{"e.jsonl", object(`"amount":7,`, ``), "e.jsonl:1:1: amount is missing"},
		{"e.jsonl", object(`"V"`, `12`), "e.jsonl:1:30: voucher_id is a number: want a text"},
		{"e.jsonl", object(`"text"`, `"konto"`), `unknown field "konto"`},
		{"e.jsonl", object(`"text"`, `"account"`), "duplicate field account"},
		{"e.jsonl", object(`"x"`, "\"a\xffb\""), "e.jsonl:1:97: not valid UTF-8"},
		{"e.jsonl", object(`"x"`, `"a\u0000b"`), "text has the control character U+0000 at its character 2"},
		{"e.jsonl", object(`"x"`, `"\ud800"`), "text is not valid UTF-8"},
		{"e.jsonl", object(`"x"`, `"x","dimensions":{"a":{"b":"c"}}`), "dimensions.a is an object: want a text"},
		{"e.jsonl", object(`"x"`, `"x","dimensions":{"a":"b","a":"c"}`), "duplicate dimension a"},
		{"e.jsonl", object(`"x"`, `"x","dimensions":"a"`), "dimensions: want a JSON object of texts"},
		{"e.jsonl", "[" + object() + "]", "e.jsonl:1:1: not an object; want one JSON object in a line"},
		{"e.jsonl", object() + ",", "e.jsonl:1:"},
		{"e.jsonl", object() + " {}", "text after the object"},
		{"e.jsonl", object()[:30], "e.jsonl:1:31: it ends too early"},
		{"e.jsonl", object(`:"V"`, `;"V"`), "e.jsonl:1:28: expected colon after object key"},
		{"e.jsonl", object() + "\n" + object(), `e.jsonl:2:13: duplicate entry_id "1" (first on line 1)`},
		{"e.jsonl", `{"a":"` + strings.Repeat("x", 1<<20), "e.jsonl:1:1: an entry of more than 1048576 bytes"},
		{"e.jsonl", "\n \n", "no entries"},
		{"e.csv", head + "1\u00a02,V,2026-10-31,3000,7\n", "e.csv:2:1: entry_id has the invisible character U+00A0 (no-break space) at its character 2: want it without"},
		{"e.csv", head + "1,V\u200b,2026-10-31,3000,7\n", "e.csv:2:3: voucher_id has the invisible character U+200B (zero width space) at its character 2"},
		{"e.csv", head + "1,V,2026-10-31,30\u00ad00,7\n", "e.csv:2:16: account has the invisible character U+00AD (soft hyphen)"},
		{"e.csv", head + "1,V,2026-10-31,3000\t,7\n", "control character U+0009"},
		{"e.csv", head + "1,V,2026-10-31,\u00a0,7\n", "account is missing"},
		{"e.csv", head + "1,V,2026-10-31,3000,7,NOK,x,\"{\"\"a\u2060\"\": \"\"b\"\"}\"\n", "U+2060 (word joiner)"},
		{"e.csv", head + "1,V,2026-10-31,3000,7,NOK,x,\"{\"\"a\"\": \"\"b\u202e\"\"}\"\n", "U+202E (text direction)"},
		{"e.csv", head + "E1,V,2026-10-31,3000,7\n\u202fE1\ufeff,V,2026-10-31,3000,7\n", `e.csv:3:1: duplicate entry_id "E1" (first on line 2)`},
		{"e.jsonl", object() + "\n" + object(`"1"`, "\"1\u00a0\""), `e.jsonl:2:13: duplicate entry_id "1" (first on line`},
		{"e.jsonl", object(`"V"`, `"V\u3164"`), "voucher_id has the invisible character U+3164"},
	} {
		_, err := readAll(t, c.name, "", c.text)
		assert.ErrorContains(t, err, c.says)
		assert.Less(t, len(err.Error()), 25*2000)
		assert.ErrorAs(t, err, new(*Error))
	}
}

// All errors are counted, twenty are shown, and nothing is yielded after the first.
func TestReadEntriesManyErrors(t *testing.T) {
	var b strings.Builder
	b.WriteString(head + "0,V,2026-10-31,3000,7\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "%d,V,2026-10-31,3000,x\n", i+1)
	}
	b.WriteString("1,V,2026-10-31,3000,7\n") // a duplicate of a wrong line
	entries, err := readAll(t, "e.csv", "", b.String())
	require.Len(t, entries, 1)
	require.ErrorContains(t, err, "e.csv: and 981 more")
	require.Equal(t, 21, strings.Count(err.Error(), "\n")+1)

	broken := errors.New("the disk is gone")
	_, err = Open("e.csv", io.MultiReader(strings.NewReader(head), failing{broken}), Options{})
	require.ErrorIs(t, err, broken, "a file that cannot be read is not a file with errors")
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A long file takes little memory: some bytes for each ID, to notice a duplicate.
func TestReadEntriesMemory(t *testing.T) {
	const lines = 200_000
	in, out := io.Pipe()
	go func() {
		fmt.Fprint(out, head)
		for i := range lines {
			fmt.Fprintf(out, "entry-%08d,V%07d,2026-10-31,3000,7.00,NOK,%s,\n", i, i/2, strings.Repeat("t", 100))
		}
		out.Close()
	}()
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n := 0
	f, err := Open("-", in, Options{})
	require.NoError(t, err)
	defer f.Close()
	for e, err := range f.Entries(nil) {
		require.NoError(t, err)
		if n++; n == lines {
			runtime.GC()
			runtime.ReadMemStats(&now)
			require.Equal(t, fmt.Sprintf("entry-%08d", lines-1), e.EntryID)
		}
	}
	require.Equal(t, lines, n)
	require.Less(t, int64(now.HeapAlloc)-int64(before.HeapAlloc), int64(lines*80), "bytes kept")
}

func FuzzReadEntries(f *testing.F) {
	f.Add("e.csv", head+"1,V,2026-10-31,3000,7,NOK,x,\"{\"\"a\"\":\"\"b\"\"}\"\n")
	f.Add("e.jsonl", `{"entry_id":"1","dimensions":{"a":{}}}`)
	f.Fuzz(func(t *testing.T, name, text string) {
		entries, err := readAll(t, name, "", text)
		if err == nil && len(entries) == 0 {
			t.Error("neither entries nor an error")
		}
		for _, e := range entries {
			if e.EntryID == "" || e.VoucherID == "" || e.Account == "" || !jsonAmount.MatchString(e.Amount) || plain.Text(e.Text) != nil || plain.Seen(e.EntryID+e.VoucherID+e.Account+e.Currency) != nil || e.Date.IsZero() {
				t.Errorf("passed: %+v", e)
			}
		}
	})
}
