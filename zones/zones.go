// Package zones knows the time zones of the IANA database, the same on every
// machine.
//
// A machine's own files are another matter: they differ in age, and hold what is
// no zone (localtime, posixrules, right/…, posix/…), which another machine, and
// Temporal, read differently or not at all. So names and rules come from one
// file in the program: zones.zip, the IANA database as Go ships it. A program
// that is built with a newer one knows newer rules.
//
// The package is pure: no I/O, no clock.
package zones

//go:generate sh -c "cp $(go env GOROOT)/lib/time/zoneinfo.zip zones.zip"

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/plain"
)

// file is GOROOT/lib/time/zoneinfo.zip: an entry for each name of the IANA
// database, links included, with its TZif data.
//
//go:embed zones.zip
var file []byte

// data maps each name to its TZif data.
var data = sync.OnceValue(func() map[string][]byte {
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		panic("zones.zip: " + err.Error()) // it is part of the program
	}
	out := make(map[string][]byte, len(z.File))
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			panic("zones.zip: " + f.Name + ": " + err.Error())
		}
		if f.Name != "Factory" { // stands for a clock that nobody has set
			if out[f.Name], err = io.ReadAll(in); err != nil {
				panic("zones.zip: " + f.Name + ": " + err.Error())
			}
		}
	}
	return out
})

var loaded sync.Map // name to *time.Location

// Load returns the zone of a name of the IANA database, such as Europe/Oslo. Its
// error says what to write instead.
func Load(name string) (*time.Location, error) {
	if z, ok := loaded.Load(name); ok {
		return z.(*time.Location), nil
	}
	tzif, ok := data()[name]
	if !ok {
		return nil, fmt.Errorf("%q is not a name of the IANA time zone database%s", plain.Clip(name, 40), hint(name))
	}
	z, err := time.LoadLocationFromTZData(name, tzif)
	if err != nil {
		return nil, fmt.Errorf("time zone %s: %w", name, err)
	}
	loaded.Store(name, z)
	return z, nil
}

// names returns every name, sorted.
func names() []string {
	var out []string
	for name := range data() {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// windows are the zones of Windows in Europe and what they are called here
// (Unicode CLDR, windowsZones.xml; Norway's is the first of them).
var windows = map[string]string{
	"W. Europe Standard Time": "Europe/Oslo, Europe/Stockholm or Europe/Berlin", "Romance Standard Time": "Europe/Copenhagen, Europe/Paris or Europe/Madrid",
	"Central Europe Standard Time": "Europe/Budapest or Europe/Prague", "Central European Standard Time": "Europe/Warsaw",
	"FLE Standard Time": "Europe/Helsinki, Europe/Riga or Europe/Kyiv", "GTB Standard Time": "Europe/Athens or Europe/Bucharest", "E. Europe Standard Time": "Europe/Chisinau",
	"GMT Standard Time": "Europe/London, Europe/Dublin or Europe/Lisbon", "Greenwich Standard Time": "Atlantic/Reykjavik",
}

// hint says what may have been meant.
func hint(name string) string {
	for from, to := range windows {
		if strings.EqualFold(name, from) {
			return ": it is Windows' name; want " + to
		}
	}
	if strings.HasSuffix(strings.ToLower(name), " standard time") {
		return ": it is Windows' name; want one such as Europe/Oslo"
	}
	for _, known := range names() {
		if strings.EqualFold(name, known) || strings.EqualFold(strings.TrimPrefix(strings.TrimPrefix(name, "posix/"), "right/"), known) {
			return "; want " + known
		}
	}
	return "; want one such as Europe/Oslo"
}
