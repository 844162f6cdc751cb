package classify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"strings"
	"syscall"
)

// Err decides what an error of a call without a response means. It is total:
// any error has a verdict, and nil is a success.
//
// The rules are docs/vendors.md#sources. Unknown is true for every error after
// which the vendor may have acted; whether anything was sent is for the caller
// to add. An error that no rule matches is a network fault: a capped retry does
// no harm, and its rule "error:other" shows in the log that one is missing.
func Err(err error) Verdict {
	if err == nil {
		return verdict(OK, "error:none", "")
	}
	// A *url.Error is a net.Error whatever is in it, and prints the query.
	var wrapped *url.Error
	if errors.As(err, &wrapped) && wrapped.Err != nil {
		err = wrapped.Err
	}
	for _, rule := range errorRules {
		if rule.match(err) {
			v := verdict(rule.kind, "error:"+rule.name, clip(err.Error()))
			v.Unknown = rule.unknown
			return v
		}
	}
	v := verdict(Network, "error:other", clip(err.Error()))
	v.Unknown = true
	return v
}

// errorRules are tried in order. The texts in it are the Go library's own for
// errors that have no type; a vendor's text never stands here.
var errorRules = []struct {
	name    string
	kind    Kind
	unknown bool // the vendor may have acted
	match   func(error) bool
}{
	{"cancelled", Cancelled, true, is(context.Canceled)},
	{"dns-timeout", DNS, false, func(err error) bool { return as[*net.DNSError](err) }},
	{"certificate", TLS, false, func(err error) bool {
		return as[*tls.CertificateVerificationError](err) || as[x509.UnknownAuthorityError](err) ||
			as[x509.HostnameError](err) || as[x509.CertificateInvalidError](err)
	}},
	{"tls-alert", TLS, false, func(err error) bool { return as[tls.AlertError](err) || as[tls.RecordHeaderError](err) }},
	{"tls-protocol", TLS, false, says("tls: protocol version not supported", "tls: no supported versions", "remote error: tls:",
		"server gave HTTP response to HTTPS client", "first record does not look like a TLS handshake")},
	{"dial-timeout", AttemptTimeout, false, func(err error) bool { return dialing(err) && timeout(err) }},
	{"tls-handshake-timeout", AttemptTimeout, false, says("TLS handshake timeout")},
	{"deadline", AttemptTimeout, true, is(context.DeadlineExceeded)},
	{"timeout", AttemptTimeout, true, timeout},
	{"refused", Network, false, is(syscall.ECONNREFUSED)},
	{"dial", Network, false, dialing},
	{"proxy-authentication", InvalidRequest, false, says("Proxy Authentication Required")},
	{"scheme", InvalidRequest, false, says("unsupported protocol scheme", "no Host in request URL", "invalid URL")},
	{"redirect", Redirect, false, says("stopped after ")},
	{"header", InvalidRequest, false, says("net/http: invalid header field", "invalid method")},
	{"reset", Network, true, is(syscall.ECONNRESET)},
	{"broken-pipe", Network, true, is(syscall.EPIPE)},
	{"cut", Network, true, is(io.ErrUnexpectedEOF)},
	{"closed", Network, true, is(io.EOF)},
	{"malformed", Network, true, func(err error) bool {
		return as[textproto.ProtocolError](err) || says("malformed HTTP", "malformed MIME", "transport connection broken", "gzip: invalid")(err)
	}},
	{"http2-goaway", Network, true, says("server sent GOAWAY", "client connection lost")},
	{"http2-stream", Network, true, says("stream error:", "http2:")},
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

func says(texts ...string) func(error) bool {
	return func(err error) bool {
		message := err.Error()
		for _, text := range texts {
			if strings.Contains(message, text) {
				return true
			}
		}
		return false
	}
}

// dialing reports whether the connection was never made.
func dialing(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}

func timeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
