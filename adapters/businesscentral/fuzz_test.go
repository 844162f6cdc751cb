package businesscentral

import "testing"

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
		n = max(0, min(n, MaxBatch))
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
