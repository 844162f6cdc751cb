package words_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/console/words"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/zones"
)

var oslo = func() *time.Location {
	zone, err := zones.Load("Europe/Oslo")
	if err != nil {
		panic(err)
	}
	return zone
}()

var nb, en = words.For(words.Bokmal, oslo), words.For(words.English, oslo)

func TestMatch(t *testing.T) {
	for header, want := range map[string]words.Language{
		"nb-NO,nb;q=0.9,no;q=0.8,en;q=0.7": words.Bokmal, "nn": words.Bokmal, "NO": words.Bokmal, "en-US,en;q=0.9,nb;q=0.8": words.English,
		"de,nb;q=0.3": words.Bokmal, "en; q=0.2, nb; q = 0.5": words.Bokmal, "de-DE": words.English, "": words.English, "*": words.English,
		"nb;q=0,en": words.English, "nb;q=x, en;q=0.1": words.English, ";;,,nb": words.Bokmal, "nb;q=0": words.English,
	} {
		require.Equal(t, want, words.Match(header), header)
	}
}

func TestAmounts(t *testing.T) {
	for amount, want := range map[string][2]string{
		"22780.00": {"22 780,00", "22,780.00"}, "0": {"0,00", "0.00"}, "-1140.5": {"−1 140,50", "-1,140.50"}, "999.125": {"999,125", "999.125"},
		"1234567890123456789.01": {"1 234 567 890 123 456 789,01", "1,234,567,890,123,456,789.01"}, "007.10": {"7,10", "7.10"}, "abc": {"abc", "abc"},
		"": {"", ""}, "1e5": {"1e5", "1e5"}, "5.": {"5,00", "5.00"}, "-0.01": {"−0,01", "-0.01"}, "000": {"0,00", "0.00"},
	} {
		require.Equal(t, spaced(want[0]), nb.Amount(amount))
		require.Equal(t, want[1], en.Amount(amount))
	}
	require.Equal(t, spaced("−1 234 567"), nb.Number(-1234567))
	require.Equal(t, "-1,234,567", en.Number(-1234567))
	require.Equal(t, "0", nb.Number(0))
	sums := map[string]string{"NOK": "3200.00", "EUR": "5.00"}
	require.Equal(t, "EUR_5,00 og NOK_3_200,00", strings.ReplaceAll(nb.Money(sums), "\u00a0", "_"))
	require.Equal(t, exports.MoneyList(sums), en.Money(sums))
	require.Empty(t, nb.Money(nil))
}

// spaced has no-break spaces.
func spaced(s string) string { return strings.ReplaceAll(s, " ", "\u00a0") }

func TestTimes(t *testing.T) {
	now := time.Date(2026, 10, 25, 23, 30, 0, 0, oslo) // the day on which the clocks go back
	for _, c := range []struct {
		at     time.Time
		nb, en string
	}{
		{now.Add(-22 * time.Hour), "i dag kl. 02.30", "today 02:30"},
		{now.Add(7 * time.Hour), "i morgen kl. 06.30", "tomorrow 06:30"},
		{now.Add(24 * time.Hour), "i morgen kl. 23.30", "tomorrow 23:30"},
		{now.Add(31 * time.Hour), "27. oktober 2026 kl. 06.30", "27 October 2026 06:30"},
		{now.Add(-25 * time.Hour), "i går kl. 23.30", "yesterday 23:30"},
		{now.AddDate(0, -5, 6), "31. mai 2026 kl. 23.30", "31 May 2026 23:30"},
	} {
		require.Equal(t, c.nb, nb.Time(c.at.UTC(), now.UTC()))
		require.Equal(t, c.en, en.Time(c.at.UTC(), now.UTC()))
	}
	require.Equal(t, "25. oktober 2026", nb.Day(now))
	require.Equal(t, "26 October 2026", en.Day(now.Add(30*time.Minute).UTC()))
	require.Equal(t, "31. oktober 2026", nb.DayOf("2026-10-31"))
	require.Equal(t, "2026-13-31", nb.DayOf("2026-13-31"))
	require.Equal(t, "25. oktober 2026 kl. 23.30.00 CET", nb.Exact(now))
	require.Equal(t, "25 October 2026 23:30:00 CET", en.Exact(now.UTC()))
	require.Equal(t, "søndag", nb.Weekday(time.Sunday))
	require.Equal(t, "for 3 minutter siden", nb.Ago(now.Add(-3*time.Minute), now))
	require.Equal(t, "just now", en.Ago(now, now))
	require.Equal(t, "just now", en.Ago(now.Add(time.Hour), now), "clocks differ")
	require.Equal(t, "om 1 time", nb.Until(now.Add(time.Hour), now))
	require.Equal(t, "now", en.Until(now.Add(-time.Hour), now))
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration][2]string{
		0: {"under ett sekund", "less than a second"}, -time.Hour: {"under ett sekund", "less than a second"}, 400 * time.Millisecond: {"under ett sekund", "less than a second"},
		time.Second: {"1 sekund", "1 second"}, 89 * time.Second: {"89 sekunder", "89 seconds"}, 90 * time.Second: {"2 minutter", "2 minutes"}, time.Minute: {"1 minutt", "1 minute"},
		100 * time.Minute: {"100 minutter", "100 minutes"}, time.Hour: {"1 time", "1 hour"}, 26 * time.Hour: {"26 timer", "26 hours"}, 24 * time.Hour: {"1 dag", "1 day"},
		240 * time.Hour: {"10 dager", "10 days"}, 5 * time.Minute: {"5 minutter", "5 minutes"},
	} {
		require.Equal(t, want, [2]string{nb.Duration(d), en.Duration(d)}, d)
	}
}

func TestPeriods(t *testing.T) {
	for period, want := range map[string][4]string{
		"2026-10":    {"oktober 2026", "October 2026", "1.–31. oktober 2026", "1–31 October 2026"},
		"2026-W05":   {"uke 5 i 2026", "week 5 of 2026", "26. januar – 1. februar 2026", "26 January – 1 February 2026"},
		"2026-W53":   {"uke 53 i 2026", "week 53 of 2026", "28. desember 2026 – 3. januar 2027", "28 December 2026 – 3 January 2027"},
		"2026-11-23": {"23. november 2026", "23 November 2026", "23. november 2026", "23 November 2026"},
		"soon":       {"soon", "soon", "", ""},
	} {
		require.Equal(t, want, [4]string{nb.Period(period), en.Period(period), nb.PeriodDays(period), en.PeriodDays(period)})
		require.Equal(t, exports.PeriodName(period), en.Period(period))
	}
	require.Equal(t, "Årsoppgjør", words.Capital("årsoppgjør"))
	require.Empty(t, words.Capital(""))
}

// Every outcome and state has a mark, and no two look the same without colours.
func TestMarks(t *testing.T) {
	for _, p := range []*words.Printer{nb, en} {
		seen := make(map[string]bool)
		for _, o := range exports.Outcomes {
			m := p.Outcome(o)
			require.Contains(t, []string{"good", "bad", "waiting", "unknown", "quiet"}, m.Tone)
			require.False(t, seen[m.Sign] || seen[m.Word], "%s: %+v", o, m)
			seen[m.Sign], seen[m.Word] = true, true
		}
		states := []words.Mark{p.Missed(), p.NotExported()}
		for _, s := range exports.ChainStates {
			states = append(states, p.ChainState(s))
		}
		for _, m := range states {
			require.NotEmpty(t, m.Sign)
			require.False(t, seen["chain "+m.Word], m.Word)
			seen["chain "+m.Word] = true
		}
	}
	require.Equal(t, words.Mark{Sign: "✓", Word: "kom frem", Tone: "good"}, nb.Outcome(exports.WasExported))
	require.Equal(t, "Business Central", nb.Vendor("businesscentral"))
	require.Equal(t, "acme", nb.Vendor("acme"))
	require.PanicsWithValue(t, "words: there is no mark outcome.lost", func() { nb.Outcome("lost") })
}
