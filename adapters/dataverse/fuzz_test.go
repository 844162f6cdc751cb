package dataverse

import "testing"

// FuzzBodies: no answer to a batch makes its reader fail otherwise than with
// words.
func FuzzBodies(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"value\":[]}\r\n--b--"), "multipart/mixed; boundary=b")
	f.Add([]byte("--b\r\n\r\nnonsense\r\n--b--"), "multipart/mixed; boundary=b")
	f.Add([]byte("--b"), "multipart/mixed; boundary=b")
	f.Add([]byte(`{}`), "application/json")
	f.Fuzz(func(t *testing.T, answer []byte, contentType string) {
		if out, err := bodies(answer, contentType); err != nil && out != nil {
			t.Errorf("%v, and %d bodies", err, len(out))
		}
	})
}

// FuzzEntityIDs: what is taken for a row's name is a GUID and belongs to a part.
func FuzzEntityIDs(f *testing.F) {
	f.Add("--c\r\nContent-ID: 1\r\n\r\nHTTP/1.1 204 No Content\r\nOData-EntityId: https://x/acme_lines(00000000-0000-4000-8000-000000000001)\r\n\r\n--c--")
	f.Add("OData-EntityId: (00000000-0000-4000-8000-000000000001)")
	f.Add("Content-ID: 1\nOData-EntityId: )")
	f.Fuzz(func(t *testing.T, answer string) {
		for n, id := range entityIDs(answer) {
			if n <= 0 || !guid.MatchString(id) {
				t.Errorf("part %d is %q", n, id)
			}
		}
	})
}
