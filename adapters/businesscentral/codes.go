package businesscentral

import "github.com/ledgerline/ledgerline/classify"

// Codes are the Business Central error codes that mean something else than
// their status or their prefix (docs/vendors.md#sources): Application_ is business logic
// except for throttling, and Internal_ is worth another attempt except where
// it names a fault of the data.
var Codes = classify.Table{
	Name:    Name,
	Dialect: classify.OData,
	Codes: map[string]classify.Rule{
		"Application_TooManyRequests":      {Kind: classify.RateLimited},
		"Internal_ServerError":             {Kind: classify.ServerError},
		"Internal_TenantUnavailable":       {Kind: classify.Unavailable},
		"Internal_DataNotFoundFilter":      {Kind: classify.Business},
		"Internal_RecordNotFound":          {Kind: classify.NotFound},
		"Internal_InvalidTableRelation":    {Kind: classify.Business},
		"Internal_EntityWithSameKeyExists": {Kind: classify.Duplicate},
		"Internal_CompanyNotFound":         {Kind: classify.NotFound},
		"Request_EntityChanged":            {Kind: classify.Conflict},
	},
}
