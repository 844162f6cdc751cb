package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/redact"
)

// pure measures what needs no server.
func pure() {
	status := classify.HTTPResponse{Op: classify.Op("read"), Status: http.StatusServiceUnavailable, Header: http.Header{}, Received: time.Now()}
	ns, allocs := measure(func() { classify.Response(status, xledger.Codes) })
	report("classify_status", ns, "ns", atMost(500))
	report("classify_status_allocs", allocs, "allocs", atMost(2))

	one := `{"message":"Account 1920 is not open for this period","path":["addGLImportItems","edges",0],"extensions":{"code":"BAD_REQUEST"}}`
	body := `{"data":{"addGLImportItems":null},"errors":[` + strings.Repeat(one+",", 2048/len(one)) + one + `]}`
	graphQL := classify.HTTPResponse{Op: classify.Op("write"), Status: http.StatusOK, Header: http.Header{}, Body: []byte(body), Received: time.Now()}
	ns, _ = measure(func() { classify.Response(graphQL, xledger.Codes) })
	report("classify_graphql_2kb", ns/1000, "us", atMost(25))

	plain := strings.Repeat("The customer posting group must have a value for no. C00690. ", 17)[:1024]
	ns, _ = measure(func() { redact.Text(plain) })
	report("redact_1kb_plain", ns/1000, "us", atMost(150))

	secret := strings.Join([]string{"s3cr", "et-va", "lue"}, "")
	hot := strings.Repeat(`{"Authorization":"token `+secret+`","mail":"kari.nordmann@example.no","tlf":"+47 22 33 44 55","text":"Faktura 10023"} `, 12)[:1024]
	exact := redact.New(secret)
	ns, _ = measure(func() { exact.Text(hot) })
	report("redact_1kb_secrets", ns/1000, "us", atMost(150))
}

// measure returns the median of three benchmarks: nanoseconds and allocations.
func measure(f func()) (ns, allocs float64) {
	var times, counts []float64
	for range 3 {
		r := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
		times = append(times, float64(r.NsPerOp()))
		counts = append(counts, float64(r.AllocsPerOp()))
	}
	return median(times), median(counts)
}
