package businesscentral

import "github.com/ledgerline/ledgerline/classify"

// Codes are the Business Central error codes that mean something else than
// their status or their prefix (docs/vendors.md#businesscentral-api): Application_ is business logic
// except for throttling, and Internal_ is worth another attempt except where
// it names an error of the data.
var Codes = classify.Table{
	Name:    Name,
	Dialect: classify.OData,
	Codes: map[string]classify.Rule{
		// Too many connections, or too many in the queue: refused before it is run
		// (operational limits).
		"Application_TooManyRequests": {Kind: classify.RateLimited, Effect: classify.None},
		// The address leads nowhere: an unknown resource, an unknown company (page of
		// error codes: ODataResourceNotFoundException, NavCompanyNotFoundException).
		"BadRequest_ResourceNotFound": {Kind: classify.NotFound, Effect: classify.None, Unrouted: true},
		"Internal_CompanyNotFound":    {Kind: classify.NotFound, Effect: classify.None, Unrouted: true},

		"Internal_ServerError":             {Kind: classify.ServerError},
		"Internal_TenantUnavailable":       {Kind: classify.Unavailable},
		"Internal_DataNotFoundFilter":      {Kind: classify.Business},
		"Internal_RecordNotFound":          {Kind: classify.NotFound},
		"Internal_InvalidTableRelation":    {Kind: classify.Business},
		"Internal_EntityWithSameKeyExists": {Kind: classify.Duplicate},
		"Request_EntityChanged":            {Kind: classify.Conflict},
	},
}
