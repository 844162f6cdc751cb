package zones_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/zones"
)

func TestLoad(t *testing.T) {
	oslo, err := zones.Load("Europe/Oslo")
	require.NoError(t, err)
	require.Equal(t, "Europe/Oslo", oslo.String())
	at := time.Date(2026, 10, 25, 0, 59, 59, 0, time.UTC).In(oslo)
	require.Equal(t, "02:59:59 CEST, 02:00:00 CET", at.Format("15:04:05 MST, ")+at.Add(time.Second).Format("15:04:05 MST"))
	for _, name := range []string{"UTC", "Etc/UTC", "America/New_York", "US/Eastern", "Asia/Kolkata", "Asia/Calcutta", "Europe/Kyiv", "CET", "Etc/GMT+5"} {
		_, err := zones.Load(name)
		require.NoError(t, err)
	}
	require.Greater(t, len(zones.Names()), 590)
	for _, name := range zones.Names() {
		_, err := zones.Load(name)
		require.NoError(t, err, name)
	}
}

// What a machine has besides is no zone, and each refusal says what is one.
func TestRefused(t *testing.T) {
	for name, want := range map[string]string{
		"localtime": "want one such as Europe/Oslo", "Local": "such as Europe/Oslo", "": "such as Europe/Oslo", "posixrules": "such as", "Factory": "such as", "leapseconds": "such as",
		"tzdata.zi": "such as", "zone.tab": "such as", "right/Europe/Oslo": "want Europe/Oslo", "posix/Europe/Oslo": "want Europe/Oslo", "europe/oslo": "want Europe/Oslo", "EUROPE/OSLO": "want Europe/Oslo", "utc": "want UTC",
		"../Europe/Oslo": "such as", "/etc/localtime": "such as", "Europe/Oslo\u00a0": "such as", "Europe": "such as", "Europe/": "such as", "CEST": "such as", "+01:00": "such as",
		"W. Europe Standard Time": "Windows' name; want Europe/Oslo", "w. europe standard time": "want Europe/Oslo", "Tokyo Standard Time": "Windows' name; want one such as Europe/Oslo",
	} {
		_, err := zones.Load(name)
		require.ErrorContains(t, err, want, name)
	}
	_, err := zones.Load(strings.Repeat("x", 1<<20))
	require.Less(t, len(err.Error()), 200)
}

// The machine's files do not matter.
func TestWithoutTheMachine(t *testing.T) {
	t.Setenv("ZONEINFO", t.TempDir())
	t.Setenv("TZ", "right/Asia/Tokyo")
	_, err := zones.Load("Europe/Oslo")
	require.NoError(t, err)
}
