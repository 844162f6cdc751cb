package redact_test

import (
	"fmt"
	"strings"

	"github.com/ledgerline/ledgerline/redact"
)

// A call masks the secrets it knows, in every form, and then shapes.
func ExampleNew() {
	secret := strings.Join([]string{"hunter", "2hunter", "2"}, "")
	r := redact.New(secret)
	fmt.Println(r.Text("the vendor said: key " + secret + " of kari@example.no is unknown"))
	// Output: the vendor said: key [REDACTED] of [REDACTED] is unknown
}

func ExampleText() {
	fmt.Println(redact.Text(`{"password": "abc123", "voucher": 10023}`))
	// Output: {"password": "[REDACTED]", "voucher": 10023}
}
