package adapters

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// CheckURL says why an adapter must not call u, or nil. The rules: https on
// port 443, no user info, no IP literal in any notation, no fragment, and a
// host on the adapter's list; an entry that begins with a dot allows every host
// below it. devHosts are "host:port" pairs for development;
// they may be plain http and anywhere.
//
// The check stands at two places, when an integration is applied and again
// before each request; the address behind the name is checked when dialling.
func CheckURL(adapter string, hosts []string, u *url.URL, devHosts []string) error {
	if dev, err := checkForm(u, devHosts); dev || err != nil {
		return err
	}
	for _, allowed := range hosts {
		below := strings.HasPrefix(allowed, ".") // for the hosts below it, and it is none itself
		if !below && u.Hostname() == allowed || below && len(u.Hostname()) > len(allowed) && strings.HasSuffix(u.Hostname(), allowed) {
			return nil
		}
	}
	return fmt.Errorf("host %q is not one that adapter %s may call: want %s",
		u.Hostname(), adapter, strings.Join(hosts, " or "))
}

// CheckPublicURL says why u, which belongs to no vendor, must not be called, or
// nil. The rules are those of [CheckURL], with any name for the host that the
// public DNS could have.
func CheckPublicURL(u *url.URL, devHosts []string) error {
	if dev, err := checkForm(u, devHosts); dev || err != nil {
		return err
	}
	labels := strings.Split(strings.ToLower(u.Hostname()), ".")
	last := labels[len(labels)-1]
	if len(labels) < 2 || last == "" || last[0] < 'a' || last[0] > 'z' || slices.Contains([]string{"localhost", "local", "internal"}, last) {
		return fmt.Errorf("host %q: want a public name such as hooks.example.com", u.Hostname())
	}
	return nil
}

// checkForm checks all of an address but its host. dev is true for one of the
// development hosts, which need no further check.
func checkForm(u *url.URL, devHosts []string) (dev bool, err error) {
	if u.User != nil {
		return false, fmt.Errorf("the address must not carry a user or password")
	}
	if u.Fragment != "" {
		return false, fmt.Errorf("the address must not have a fragment (#…)")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return false, fmt.Errorf("scheme %q: want https", u.Scheme)
	}
	if slices.Contains(devHosts, hostPort(u)) {
		return true, nil
	}
	if u.Scheme != "https" {
		return false, fmt.Errorf("scheme %q: want https (a development host must be listed in LEDGERLINE_DEV_VENDOR_HOSTS)", u.Scheme)
	}
	if p := u.Port(); p != "" && p != "443" {
		return false, fmt.Errorf("port %s: want 443", p)
	}
	return false, nil
}

// hostPort returns the address that u would be dialled at.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
