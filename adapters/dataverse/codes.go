package dataverse

import "github.com/ledgerline/ledgerline/classify"

// Codes are the Dataverse error codes that mean something else than their
// status, or that prove something of a write (docs/vendors.md#dataverse-codes). The Web
// API writes them in hex, the SDK in decimal; the table takes both.
var Codes = classify.Table{
	Name:    Name,
	Dialect: classify.OData,
	Codes: map[string]classify.Rule{
		// Service protection limits: the request is refused before it is run and can
		// be sent again when the wait is over (api-limits).
		"0x80072322": {Kind: classify.RateLimited, Effect: classify.None}, // number of requests
		"0x80072321": {Kind: classify.RateLimited, Effect: classify.None}, // combined execution time
		"0x80072326": {Kind: classify.RateLimited, Effect: classify.None}, // concurrent requests
		"0x8005f103": {Kind: classify.RateLimited},                        // seen in third-party code only: proves nothing
		"0x80060308": {Kind: classify.RateLimited},                        // seen in third-party code only: proves nothing

		"0x80040333": {Kind: classify.Duplicate},   // duplicate detection, documented as HTTP 500
		"0x80060892": {Kind: classify.Duplicate},   // alternate key violated
		"0x80040237": {Kind: classify.Duplicate},   // duplicate record (SQL)
		"0x80044150": {Kind: classify.ServerError}, // generic SQL error; ServiceClient retries it

		// "Resource not found for the segment": no such table, function or action
		// (troubleshooting, Web API client errors).
		"0x8006088a": {Kind: classify.NotFound, Effect: classify.None, Unrouted: true},
		// "SQL timeout expired": the request is too large for the time that its SQL
		// may take (troubleshooting, bulk operation errors).
		"0x80044151": {Kind: classify.RequestTimeout, GaveUp: true},
	},
}

// FinanceOperations is the table of Dynamics 365 Finance & Operations, which
// has no codes of its own that matter: throttling is a 429 (docs/vendors.md#dataverse-api). No
// adapter uses it yet; starter explain knows it.
var FinanceOperations = classify.Table{Name: "financeoperations", Dialect: classify.OData}
