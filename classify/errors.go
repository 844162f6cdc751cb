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
	"regexp"
	"strings"
	"syscall"
)

// Err decides what an error of a call without a response means. It is total:
// any error has a verdict, and nil is a success.
//
// The rules are docs/vendors.md#http2-errors. The effect is that of a write whose
// bytes may have left: [Open], unless the vendor said that it did not process
// the request. That none left, and that it was no write, is for the caller to
// add, who has seen it; the type of an error does not say. Nor is an error
// after the head of a response one of these: there the effect is Open.
//
// An error that no rule matches is a network error: a capped retry does no harm,
// and its rule "error:other" shows in the log that one is missing.
func Err(err error) Verdict {
	if err == nil {
		return NewVerdict(OK, "error:none", "")
	}
	// A *url.Error is a net.Error whatever is in it, and prints the query.
	var wrapped *url.Error
	if errors.As(err, &wrapped) && wrapped.Err != nil {
		err = wrapped.Err
	}
	for _, rule := range errorRules {
		if rule.match(err) {
			return NewVerdict(rule.kind, "error:"+rule.name, err.Error()).WithEffect(effectOf(err), false)
		}
	}
	return NewVerdict(Network, "error:other", err.Error()).WithEffect(effectOf(err), false)
}

// unprocessed matches the errors of Go's HTTP/2 transport after which the
// vendor's word is that it has not processed the request and will not: a stream
// refused by it, and one above the last that its GOAWAY names, for which there are
// two texts (docs/vendors.md#effects). The second form is that of a request which
// the transport may not send again itself. It is matched as a whole: the reason
// in a GOAWAY is the vendor's text.
var unprocessed = func() *regexp.Regexp {
	const refused = `stream error: stream ID \d+; REFUSED_STREAM; received from peer`
	const above = `http2: Transport received Server's graceful shutdown GOAWAY`
	const first = `http2: Transport received GOAWAY from server ErrCode:[A-Z_0-9]+`
	return regexp.MustCompile(`^(?:` + refused + `|` + above + `|` + first +
		`|http2: Transport: cannot retry err \[(?:` + refused + `|` + above + `)\] after Request\.Body was written; define Request\.GetBody to avoid this error)$`)
}()

// effectOf returns the effect of a write that ended with an error.
func effectOf(err error) Effect {
	for ; err != nil; err = errors.Unwrap(err) {
		if unprocessed.MatchString(err.Error()) {
			return None
		}
	}
	return Open
}

// errorRules are tried in order. The texts in it are the Go library's own for
// errors that have no type; a vendor's text never stands here.
var errorRules = []struct {
	name  string
	kind  Kind
	match func(error) bool
}{
	{"cancelled", Cancelled, is(context.Canceled)},
	{"dns-timeout", DNS, func(err error) bool { return as[*net.DNSError](err) }},
	{"certificate", TLS, func(err error) bool {
		return as[*tls.CertificateVerificationError](err) || as[x509.UnknownAuthorityError](err) ||
			as[x509.HostnameError](err) || as[x509.CertificateInvalidError](err)
	}},
	{"tls-alert", TLS, func(err error) bool { return as[tls.AlertError](err) || as[tls.RecordHeaderError](err) }},
	{"tls-protocol", TLS, says("tls: protocol version not supported", "tls: no supported versions", "remote error: tls:",
		"server gave HTTP response to HTTPS client", "first record does not look like a TLS handshake")},
	{"dial-timeout", AttemptTimeout, func(err error) bool { return dialing(err) && timeout(err) }},
	{"tls-handshake-timeout", AttemptTimeout, says("TLS handshake timeout")},
	{"deadline", AttemptTimeout, is(context.DeadlineExceeded)},
	{"timeout", AttemptTimeout, timeout},
	{"refused", Network, is(syscall.ECONNREFUSED)},
	{"dial", Network, dialing},
	{"proxy-authentication", InvalidRequest, says("Proxy Authentication Required")},
	{"scheme", InvalidRequest, says("unsupported protocol scheme", "no Host in request URL", "invalid URL")},
	{"redirect", Redirect, says("stopped after ")},
	{"header", InvalidRequest, says("net/http: invalid header field", "invalid method")},
	{"reset", Network, is(syscall.ECONNRESET)},
	{"broken-pipe", Network, is(syscall.EPIPE)},
	{"cut", Network, is(io.ErrUnexpectedEOF)},
	{"closed", Network, is(io.EOF)},
	{"malformed", Network, func(err error) bool {
		return as[textproto.ProtocolError](err) || says("malformed HTTP", "malformed MIME", "transport connection broken", "gzip: invalid")(err)
	}},
	{"http2-goaway", Network, says("server sent GOAWAY", "client connection lost")},
	{"http2-stream", Network, says("stream error:", "http2:")},
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
