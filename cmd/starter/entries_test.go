package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const head = "entry_id,voucher_id,entry_date,account,amount,currency,text,dimensions\n"

// Blanks of every kind around a value are dropped, and entries check shows what
// was read, without a database.
func TestEntriesCheck(t *testing.T) {
	check := func(in string, args ...string) (int, string, string) {
		var out, words bytes.Buffer
		code := run(t.Context(), append([]string{"entries", "check", "-f", "-"}, args...), strings.NewReader(in), &out, &words)
		return code, out.String(), words.String()
	}
	file := head + "\u00a0E1,V1\u3000,2026-10-31\u202f,1920\u00a0,-5.00\u00a0,NOK\ufeff,Kaffe og \u202fte,\"{\"\"a\u00a0\"\": \"\" b\"\"}\"\n"
	code, out, words := check(file, "-o", "json")
	require.Equal(t, exitOK, code, words)
	require.JSONEq(t, "{\"entries\": [{\"entryId\": \"E1\", \"voucherId\": \"V1\", \"entryDate\": \"2026-10-31\", \"account\": \"1920\", \"amount\": \"-5.00\", \"currency\": \"NOK\", \"text\": \"Kaffe og \u202fte\", \"dimensions\": {\"a\": \"b\"}}]}", out)
	code, out, _ = check(file)
	require.Equal(t, exitOK, code)
	require.Regexp(t, `E1 +V1 +2026-10-31 +1920 +-5.00 +NOK +Kaffe og .te +a=b\n$`, out)

	code, out, words = check(head+"E1,V1,31.10.2026,1920,x\n", "-o", "json")
	require.Equal(t, exitUsage, code)
	require.Empty(t, out)
	require.Contains(t, words, "-:2:7: entry_date")
	require.Contains(t, words, "-:2:23: amount")
}
