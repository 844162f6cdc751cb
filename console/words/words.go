// Package words says things to people in their language: Norwegian (bokmål) or English.
//
// A [Printer] has a language and a time zone. Its texts stand in the YAML files beside this
// one, each key with a text for each language, and are found with [Printer.T]; amounts, dates
// and times are written as people of the language write them, which the other methods do.
// What the rest of the module has as names, such as an outcome, a kind of error or a reason
// on record, has a method that says it to finance staff.
//
// What a vendor said is quoted and never translated, see [Printer.Reason]. Nothing here is
// HTML: whoever makes a page escapes it.
//
// The package is pure: no I/O, and its clock is the caller's.
package words

import (
	"strconv"
	"strings"
	"time"
)

// Language is a language that people are spoken to in, as BCP 47 names it.
type Language string

// The languages.
const (
	English Language = "en"
	Bokmal  Language = "nb"
)

// Languages are all of them.
var Languages = []Language{Bokmal, English}

// languageOf are the languages of browsers that are understood, by their first part. Those who
// read nynorsk read bokmål too.
var languageOf = map[string]Language{"nb": Bokmal, "no": Bokmal, "nn": Bokmal, "en": English}

// Match is the language for an Accept-Language header: the one that it wants most, English if
// it wants none of them.
func Match(acceptLanguage string) Language {
	best, most := English, 0.0
	for part := range strings.SplitSeq(acceptLanguage, ",") {
		tag, params, _ := strings.Cut(part, ";")
		first, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		quality := 1.0
		if q, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q="); ok {
			var err error
			if quality, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		if l, ok := languageOf[first]; ok && quality > most {
			best, most = l, quality
		}
	}
	return best
}

// Printer writes in a language, with the times of a zone.
type Printer struct {
	language Language
	zone     *time.Location
}

// For is a printer. A language that is none of [Languages] is English; without a zone, times
// are UTC.
func For(l Language, zone *time.Location) *Printer {
	if l != Bokmal {
		l = English
	}
	if zone == nil {
		zone = time.UTC
	}
	return &Printer{language: l, zone: zone}
}

// Language is the printer's.
func (p *Printer) Language() Language { return p.language }

// Zone is where the printer's times are.
func (p *Printer) Zone() *time.Location { return p.zone }
