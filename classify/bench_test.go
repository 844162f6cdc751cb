package classify_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
)

func BenchmarkStatus(b *testing.B) {
	seen := classify.HTTPResponse{Op: classify.Read, Status: http.StatusServiceUnavailable, Header: http.Header{}, Received: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		classify.Response(seen, xledger.Codes)
	}
}

func BenchmarkGraphQL2KB(b *testing.B) {
	one := `{"message":"Account 1920 is not open for this period","path":["addGLImportItems","edges",0],"extensions":{"code":"BAD_REQUEST"}}`
	body := `{"data":{"addGLImportItems":null},"errors":[` + strings.Repeat(one+",", 2048/len(one)) + one + `]}`
	seen := classify.HTTPResponse{Op: classify.Write, Status: http.StatusOK, Header: http.Header{}, Body: []byte(body), Received: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		classify.Response(seen, xledger.Codes)
	}
}
