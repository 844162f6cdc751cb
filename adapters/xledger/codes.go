package xledger

import (
	"time"

	"github.com/ledgerline/ledgerline/classify"
)

// Codes are Xledger's error codes, from errors[].code and, of the last two,
// extensions.code (docs/vendors.md#xledger-api). The official client's enum has only
// the first three; the waits are the ones it uses. What is not listed is a
// business error: many validation errors have no code.
//
// An answer with a code of these and without data is a request error, after which
// nothing was executed (GraphQL, October 2021, §7.1): each proves
// [classify.None].
var Codes = classify.Table{
	Name:    Name,
	Dialect: classify.GraphQL,
	Codes: map[string]classify.Rule{
		// The official client sends the same request again after each of these.
		"BAD_REQUEST.BURST_RATE_LIMIT_REACHED":  {Kind: classify.RateLimited, Wait: 5 * time.Second, Effect: classify.None},
		"BAD_REQUEST.CONCURRENCY_LIMIT_REACHED": {Kind: classify.RateLimited, Wait: time.Second, Effect: classify.None},
		// Credits are bought: no retry inside an invocation. A run waits for
		// extensions.resetAt, or the 20 minutes that the official client waits.
		"BAD_REQUEST.INSUFFICIENT_CREDITS": {Kind: classify.QuotaExhausted, Wait: 20 * time.Minute, Effect: classify.None},

		// The names are those of graphql-dotnet, ArgumentsOfCorrectTypeError: the
		// document is not valid (§5.6.1), and InvalidVariableError: a variable cannot
		// be coerced (§6.1.2). Both come before execution. A document of ours has its values
		// inline, in a form of our own, so the first is about the document.
		"ARGUMENTS_OF_CORRECT_TYPE": {Kind: classify.RequestDocument, Effect: classify.None},
		"INVALID_VALUE":             {Kind: classify.Business, Effect: classify.None},
	},
}
