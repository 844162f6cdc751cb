package console

import "net/url"

// Paths below an organization's.

func periodPath(integration, period string) string {
	return "/periods/" + url.PathEscape(integration) + "/" + url.PathEscape(period)
}

func voucherPath(voucher string) string { return "/vouchers/" + url.PathEscape(voucher) }

func integrationPath(name string) string { return "/integrations/" + url.PathEscape(name) }
