package xledger

import (
	"time"

	"github.com/ledgerline/ledgerline/classify"
)

// Codes are Xledger's error codes, from errors[].code (docs/vendors.md#sources). The
// official client's enum has only these; the waits are the ones it uses. What
// is not listed is a business error: many validation errors have no code.
var Codes = classify.Table{
	Name:    Name,
	Dialect: classify.GraphQL,
	Codes: map[string]classify.Rule{
		"BAD_REQUEST.BURST_RATE_LIMIT_REACHED":  {Kind: classify.RateLimited, Wait: 5 * time.Second},
		"BAD_REQUEST.CONCURRENCY_LIMIT_REACHED": {Kind: classify.RateLimited, Wait: time.Second},
		// Credits are bought: no retry inside an invocation. A run waits for
		// extensions.resetAt, or the 20 minutes that the official client waits.
		"BAD_REQUEST.INSUFFICIENT_CREDITS": {Kind: classify.QuotaExhausted, Wait: 20 * time.Minute},
	},
}
