package businesscentral

import (
	"bytes"
	"testing"
)

// FuzzParts: whatever an answer to a batch is, there is one place for each
// request and none beyond.
func FuzzParts(f *testing.F) {
	for _, s := range []string{
		`{"responses":[{"id":"1","status":200,"body":{"value":[]}},{"id":null,"body":"{\"value\":[]}"}]}`,
		`{"responses":[{"id":"-1"}]}`, `{"responses":[{"id":"99999999999999999999"}]}`, `{"responses":[{},{},{},{}]}`, `{"responses":{}}`, ``,
	} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, answer []byte, n int) {
		n = max(0, min(n, maxBatch))
		out, err := parts(answer, n)
		if err == nil && len(out) != n {
			t.Errorf("%d parts, want %d", len(out), n)
		}
	})
}

// FuzzDocument: a document number fits, and no two of these vouchers share one.
func FuzzDocument(f *testing.F) {
	f.Add("A-1", "A-2")
	f.Add("2026-10/bilag/000000000001", "2026-10/bilag/000000000002")
	f.Fuzz(func(t *testing.T, a, b string) {
		if n := len([]rune(document(a))); n > maxDocument {
			t.Errorf("%q has %d characters", document(a), n)
		}
		if a != b && len([]rune(a)) > maxDocument && document(a) == document(b) {
			t.Errorf("%q and %q share %q", a, b, document(a))
		}
	})
}

// FuzzEntityType: a type that is read comes from a document that is XML to its
// end and has it, and no length is less than nothing.
func FuzzEntityType(f *testing.F) {
	for _, s := range []string{
		`<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices><Schema Namespace="Microsoft.NAV" xmlns="http://docs.oasis-open.org/odata/ns/edm">` +
			`<EntityType Name="journalLine"><Key><PropertyRef Name="id" /></Key><Property Name="amount" Type="Edm.Decimal" Scale="Variable"><Annotation Term="a" Bool="true" /></Property>` +
			`<Property Name="accountNumber" Type="Edm.String" MaxLength="20" /><NavigationProperty Name="dimensionSetLines" Type="Collection(Microsoft.NAV.dimensionSetLine)" />` +
			`</EntityType></Schema></edmx:DataServices></edmx:Edmx>`,
		`<EntityType Name="journalLine"/>`, `<EntityType Name="journalLine"><Property Name="a" MaxLength="-1"/></EntityType>`, `<EntityType Name="journalLine">`,
		`<a><EntityType Name="journalLine"><EntityType Name="journalLine"><Property Name="b"/></EntityType></EntityType></a>`,
		`<!DOCTYPE x [<!ENTITY e "eeee">]><x>&e;</x>`, `<?xml version="1.0" encoding="utf-16"?><x/>`, `{"value":[]}`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		got, err := readEntityType(document, "journalLine")
		if (got == nil) != (err != nil) {
			t.Errorf("%v and %v", got, err)
		}
		for name, p := range got {
			if p.length < 0 {
				t.Errorf("%s has %d characters", name, p.length)
			}
		}
		if err == nil && !bytes.Contains(document, []byte("journal")) && !bytes.Contains(document, []byte("&")) {
			t.Errorf("%q has the type", document)
		}
	})
}
