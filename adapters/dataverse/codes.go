package dataverse

import "github.com/ledgerline/ledgerline/classify"

// Codes are the Dataverse error codes that mean something else than their
// status (docs/vendors.md#sources). The Web API writes them in hex, the SDK in decimal;
// the table takes both.
var Codes = classify.Table{
	Name:    Name,
	Dialect: classify.OData,
	Codes: map[string]classify.Rule{
		"0x80072322": {Kind: classify.RateLimited}, // number of requests (api-limits)
		"0x80072321": {Kind: classify.RateLimited}, // combined execution time
		"0x80072326": {Kind: classify.RateLimited}, // concurrent requests
		"0x8005f103": {Kind: classify.RateLimited}, // seen in third-party code only
		"0x80060308": {Kind: classify.RateLimited}, // seen in third-party code only
		"0x80040333": {Kind: classify.Duplicate},   // duplicate detection, documented as HTTP 500
		"0x80060892": {Kind: classify.Duplicate},   // alternate key violated
		"0x80040237": {Kind: classify.Duplicate},   // duplicate record (SQL)
		"0x80044150": {Kind: classify.ServerError}, // generic SQL error; ServiceClient retries it
	},
}

// FinanceOperations is the table of Dynamics 365 Finance & Operations, which
// has no codes of its own that matter: throttling is a 429 (docs/vendors.md#sources). No
// adapter uses it yet; starter explain knows it.
var FinanceOperations = classify.Table{Name: "financeoperations", Dialect: classify.OData}
