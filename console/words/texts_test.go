package words

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every key has a text in each language, and both ask for the same arguments.
func TestTextsAreComplete(t *testing.T) {
	require.Greater(t, len(texts()), 50)
	for key, languages := range texts() {
		require.ElementsMatch(t, Languages, slices.Collect(maps.Keys(languages)), key)
		en, nb := languages[English], languages[Bokmal]
		require.Equal(t, argumentsOf(en.Other), argumentsOf(nb.Other), key)
		if en.One != "" && nb.One != "" {
			require.Equal(t, argumentsOf(en.One), argumentsOf(nb.One), key)
		}
		for _, l := range Languages {
			for _, s := range []string{languages[l].One, languages[l].Other} {
				require.Equal(t, strings.TrimSpace(s), s, key)
				require.NotContains(t, argument.ReplaceAllString(s, ""), "{", key)
				require.NotContains(t, s, "\n", "%s: write it as one line", key)
			}
			require.NotEmpty(t, languages[l].Other, "%s has no text in %s", key, l)
		}
	}
}

func argumentsOf(s string) []string {
	list := slices.Sorted(slices.Values(argument.FindAllString(s, -1)))
	return slices.DeleteFunc(slices.Compact(list), func(s string) bool { return s == "{n}" }) // "one" need not say it
}

// onlyEnglish are words that no Norwegian text has.
var onlyEnglish = strings.Fields(`the and was were with what which that this these vouchers voucher entries entry refused waiting arrived
	until while when where who whom has have had been being not only yes cannot can must should would could your you they them their there here
	from into after before again sending vendor period periods amount amounts date day month week year today tomorrow yesterday hour
	hours minutes seconds account accounts currency integration's export's file's line lines retry retried run runs upload uploaded correct
	corrected error errors key unknown missing exported complete failed reason answer answered request password secret of by it its`)

// A Norwegian text has no English in it.
func TestNorwegianIsNorwegian(t *testing.T) {
	notWord := func(c rune) bool { return !(c >= 'a' && c <= 'z' || c == '\'' || c > 127) }
	for key, languages := range texts() {
		for _, s := range []string{languages[Bokmal].One, languages[Bokmal].Other} {
			plainText := strings.ToLower(argument.ReplaceAllString(s, " "))
			plainText = strings.ReplaceAll(plainText, "idempotency-key", " ") // the name of a header
			for word := range strings.FieldsFuncSeq(plainText, notWord) {
				require.False(t, slices.Contains(onlyEnglish, word), "%s: %q is English: %s", key, word, s)
			}
		}
	}
}

func TestT(t *testing.T) {
	nb, en := For(Bokmal, nil), For("xx", nil)
	require.Equal(t, English, en.Language(), "a language that is not known")
	require.Equal(t, "1 dag", nb.T("duration.days", "n", 1))
	require.Equal(t, "2 dager", nb.T("duration.days", "n", 2))
	require.Equal(t, "0 days", en.T("duration.days", "n", 0))
	require.Equal(t, "1,200 days", en.T("duration.days", "n", 1200))
	require.Equal(t, "in {duration}", en.T("time.until", "duration", "{duration}"), "an argument is no text")
	require.PanicsWithValue(t, "words: there is no text nothing.here", func() { nb.T("nothing.here") })
	require.PanicsWithValue(t, "words: text time.until has the argument {duration}, and is given none", func() { nb.T("time.until") })
	require.PanicsWithValue(t, "words: text duration.days depends on a number n, and is given none", func() { nb.T("duration.days") })
	require.True(t, Known("time.until"))
	require.False(t, Known("nothing.here"))
}
