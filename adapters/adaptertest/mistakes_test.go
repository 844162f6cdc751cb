package adaptertest_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/adaptertest"
)

// toySubject is the toy adapter with a mistake, "" for none.
func toySubject(m mistake) adaptertest.Subject {
	s := adaptertest.Subject{
		New:         func() adapters.Adapter { return newToy(m) },
		Start:       startToy,
		Connect:     func(origin string) (string, map[string]string) { return origin + "/v1", nil },
		Credentials: map[string]string{"password": toyPassword},
		Calls: []adaptertest.Call{
			{Body: `{"status":true}`, Guard: adapters.ReadOnly},
			{Body: `{"note":"buy milk"}`, Guard: adapters.Unsafe},
		},
		Throttled: []adaptertest.Answer{
			{Status: 429, Body: `{"error":{"code":"slow_down","message":"slow down"}}`},
			{Status: 200, Body: `{"error":{"code":"busy","message":"slow down"}}`},
		},
		Answers: []adaptertest.Failure{
			{Name: "one of two lines", Answer: adaptertest.Answer{Status: 200, Body: `{"stored":[{"key":"x","id":1}]}`}},
			{Name: "no lines", Answer: adaptertest.Answer{Status: 200, Body: `{"stored":null}`}},
		},
	}
	return s
}

// An adapter without a mistake keeps all its promises.
func TestToy(t *testing.T) { adaptertest.Test(t, toySubject("")) }

// mistakes are what an adapter can do wrong, and the promises that it breaks so.
var mistakes = map[mistake][]string{
	"says that nothing can arrive late":           {"descriptor"},
	"passes over what follows a request":          {"describe"},
	"takes a note for a read":                     {"calls"},
	"writes dimensions in the order of a map":     {"entries"},
	"makes an amount a float":                     {"export"},
	"resends after a lost answer":                 {"once"},
	"remembers what failed":                       {"lost-answer"},
	"remembers what timed out":                    {"late-effect"},
	"says none after its deadline":                {"late-effect", "context"},
	"says open where it got no token":             {"unsent"},
	"says none after HTTP 500":                    {"effect"},
	"takes a part for all":                        {"effect"},
	"forgets the vendor's wait":                   {"codes"},
	"does not know the code of throttling":        {"throttling"},
	"says idempotent":                             {"idempotent"},
	"reads the first page only":                   {"pages"},
	"takes a page that does not come for the end": {"pages"},
	"trusts an answer whose filter was ignored":   {"filter"},
	"counts a known record in each request":       {"known"},
	"takes HTTP 404 for no records":               {"reads"},
	"takes a large answer for a failure":          {"large-answer"},
	"follows redirects":                           {"redirect"},
	"has a client of its own":                     {"client"},
	"does not note its token":                     {"secrets"},
	"cuts what the vendor says":                   {"secrets"},
	"sends after its context has ended":           {"context"},
	"leaves a goroutine behind":                   {"context"},
	"shares what belongs to one attempt":          {"concurrent"},
	"forgets to count":                            {"counted"},
	"asks for late errors all the same":           {"late-errors"},
	"verifies by writing":                         {"verify"},
	"verifies as if the token were accepted":      {"verify"},
}

// A mistake breaks the promises that it should break, and no other.
func TestMistakes(t *testing.T) {
	for m, promises := range mistakes {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			err := adaptertest.Check(toySubject(m))
			if got := names(err); !slices.Equal(got, promises) {
				t.Errorf("it breaks %v, want %v:\n%v", got, promises, err)
			}
		})
	}
}

// Each promise can be broken: one that no mistake breaks proves nothing.
func TestEveryPromiseCanBeBroken(t *testing.T) {
	for _, p := range adaptertest.Promises() {
		if !slices.ContainsFunc(slices.Collect(maps.Values(mistakes)), func(list []string) bool { return slices.Equal(list, []string{p}) }) {
			t.Errorf("no mistake breaks %s", p)
		}
	}
}

// names are the promises that an error says are broken.
func names(err error) (list []string) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	for _, err := range joined.Unwrap() {
		var b *adaptertest.Broken
		if errors.As(err, &b) {
			list = append(list, b.Promise)
		} else {
			list = append(list, err.Error())
		}
	}
	return list
}
