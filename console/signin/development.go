package signin

import (
	"errors"
	"fmt"
	"net"
	"net/http"
)

// checkDevelopment refuses a development mode that others could reach.
func checkDevelopment(o Options) error {
	if o.Issuer != "" {
		return errors.New("development mode signs nobody in, and an issuer is configured; want one of the two")
	}
	if o.Development.Subject == "" {
		return errors.New("the identity of development mode has no subject; records need one")
	}
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil || !isLoopback(host) {
		return fmt.Errorf("development mode signs nobody in, and the console would listen on %q; want an address on loopback, such as 127.0.0.1:8088", o.Listen)
	}
	return nil
}

// forwarding are the headers of proxies, which would let others in.
var forwarding = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"}

// developer is the development identity, if the request was made on this machine, for this machine. A
// page of another site that has its name resolved to loopback asks for another host.
func (s *SignIn) developer(r *http.Request) (Identity, *Error) {
	refused := func(format string, args ...any) (Identity, *Error) {
		return Identity{}, &Error{NotLoopback, "in development mode the console answers on this machine only: " + fmt.Sprintf(format, args...), nil}
	}
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !isLoopback(from) {
		return refused("the request comes from %s", short(r.RemoteAddr))
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if !isLoopback(host) {
		return refused("the request is for the host %q; open it as localhost", short(r.Host))
	}
	for _, name := range forwarding {
		if len(r.Header.Values(name)) > 0 {
			return refused("the request came through a proxy (%s)", name)
		}
	}
	return *s.o.Development, nil
}
