package classify_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/ledgerline/ledgerline/classify"
)

// What Go's own HTTP/2 transport says when a server does not process a request.
// A change of its texts shows here.
func TestUnprocessedStreams(t *testing.T) {
	goAway := func(last uint32, code http2.ErrCode) func(*http2.Framer, net.Conn, uint32) {
		return func(f *http2.Framer, _ net.Conn, _ uint32) {
			_ = f.WriteGoAway(last, code, []byte("stream error: stream ID 1; REFUSED_STREAM; received from peer"))
			time.Sleep(50 * time.Millisecond)
		}
	}
	reset := func(code http2.ErrCode) func(*http2.Framer, net.Conn, uint32) {
		return func(f *http2.Framer, c net.Conn, stream uint32) {
			_ = f.WriteRSTStream(stream, code)
			_, _ = io.Copy(io.Discard, c)
		}
	}
	for name, c := range map[string]struct {
		misbehave func(*http2.Framer, net.Conn, uint32)
		effect    classify.Effect
	}{
		"REFUSED_STREAM":                    {reset(http2.ErrCodeRefusedStream), classify.None},
		"INTERNAL_ERROR":                    {reset(http2.ErrCodeInternal), classify.Open},
		"CANCEL":                            {reset(http2.ErrCodeCancel), classify.Open},
		"GOAWAY below the stream":           {goAway(0, http2.ErrCodeNo), classify.None},
		"GOAWAY below, with an error":       {goAway(0, http2.ErrCodeInternal), classify.None},
		"GOAWAY that includes the stream":   {goAway(1, http2.ErrCodeNo), classify.Open},
		"GOAWAY that includes it, an error": {goAway(1, http2.ErrCodeEnhanceYourCalm), classify.Open},
		"nothing at all":                    {hangUp, classify.Open},
	} {
		t.Run(name, func(t *testing.T) {
			base := http2Server(c.misbehave)(t)
			client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: trusted}}}
			defer client.CloseIdleConnections()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, base, strings.NewReader("{}"))
			require.NoError(t, err)
			r.GetBody = nil // a write is not sent again by the transport
			_, err = client.Do(r)
			require.Error(t, err)
			v := classify.Err(err)
			require.Equal(t, c.effect, v.Effect, "%v", err)
			require.Equal(t, classify.Network, v.Kind, "%v", err)
			require.False(t, v.Ended)
		})
	}
}

// The type of an error does not say whether bytes left, and what a vendor wrote
// into one proves nothing.
func TestErrorsLeaveTheEffectOpen(t *testing.T) {
	const refused = "stream error: stream ID 1; REFUSED_STREAM; received from peer"
	for _, err := range []error{
		errors.New("remote error: tls: internal error"), tls.AlertError(80), &net.DNSError{}, &net.OpError{Op: "dial", Err: io.EOF},
		context.Canceled, context.DeadlineExceeded, io.EOF, errors.New("something new"),
		fmt.Errorf("http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug=%q", refused),
		fmt.Errorf("malformed HTTP response %q", refused),
		errors.New(refused + " "),
		errors.New("stream error: stream ID 1; REFUSED_STREAM"), // by us
	} {
		v := classify.Err(err)
		require.Equal(t, classify.Open, v.Effect, "%v", err)
		require.Equal(t, classify.Open, v.Effect)
	}
	require.Equal(t, classify.None, classify.Err(&url.Error{Op: "Post", URL: "https://x", Err: fmt.Errorf("call: %w", errors.New(refused))}).Effect)
	require.Empty(t, classify.Err(nil).Effect)
}
