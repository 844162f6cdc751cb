package entra

import "github.com/ledgerline/ledgerline/classify"

// Codes are the values of the OAuth error member (docs/vendors.md#entra-errors). They decide
// at any status; the AADSTS numbers in the description are not a stable
// interface and decide nothing.
var Codes = classify.Table{
	Name:    "entra",
	Dialect: classify.OAuth,
	Codes: map[string]classify.Rule{
		"temporarily_unavailable": {Kind: classify.Unavailable}, // "Retry the request"
		"server_error":            {Kind: classify.ServerError}, // RFC 6749, as a body because a redirect carries no 500

		"invalid_request":        {Kind: classify.BadRequest},
		"invalid_grant":          {Kind: classify.Unauthorized},
		"unauthorized_client":    {Kind: classify.Unauthorized},
		"invalid_client":         {Kind: classify.Unauthorized},
		"access_denied":          {Kind: classify.Forbidden},
		"unsupported_grant_type": {Kind: classify.BadRequest},
		"invalid_resource":       {Kind: classify.BadRequest},
		"invalid_scope":          {Kind: classify.BadRequest},
		"interaction_required":   {Kind: classify.Forbidden},
	},
}
