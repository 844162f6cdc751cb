package notify

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

// Timeout bounds one attempt by either way.
const Timeout = 10 * time.Second

// maxAnswer is how much of a receiver's answer is read, in bytes. None of it
// is kept: it is read so that the connection can be used again.
const maxAnswer = 64 << 10

// secretPrefix marks a Standard Webhooks secret.
const secretPrefix = "whsec_"

// CheckSecret says why a secret cannot sign, or nil: it is "whsec_" and the
// base64 of 24 to 64 bytes, as Standard Webhooks has it. Anything else is
// refused, so that no other secret of the worker can end up as a key.
func CheckSecret(secret string) error {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return errors.New("the webhook secret is not one; want whsec_ and the base64 of 24 to 64 random bytes")
	}
	return nil
}

// Webhook sends by HTTP to a receiver, signed as in Standard Webhooks.
type Webhook struct {
	// HTTP is a guarded client, see [adapters.Guarded].
	HTTP *http.Client
	// DevHosts are "host:port" pairs that may be called over plain http.
	DevHosts []string
}

// Send makes one attempt. The webhook-id is the notification's, the same at
// every attempt; timestamp and signature are the attempt's, because receivers
// refuse what is older than five minutes.
func (w Webhook) Send(ctx context.Context, address, secret string, m Message) Result {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	if err := CheckSecret(secret); err != nil {
		return Result{Kind: classify.Credentials, Err: err} // someone can fix it within a day
	}
	req, err := w.request(ctx, address, secret, m)
	if err != nil {
		return Result{Kind: classify.Configuration, Permanent: true, Err: err}
	}
	resp, err := w.HTTP.Do(req)
	if err != nil {
		r := failed(err)
		r.Secrets = append(addressSecrets(req.URL), secret)
		return r
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	return judge(resp.StatusCode, resp.Header, time.Now())
}

// addressSecrets are what may be a secret in an address: many a receiver is known by
// its path.
func addressSecrets(u *url.URL) []string {
	secrets := []string{u.RequestURI()}
	for _, segment := range strings.Split(u.Path, "/") {
		if len(segment) >= 8 {
			secrets = append(secrets, segment)
		}
	}
	for _, part := range strings.FieldsFunc(u.RawQuery, func(r rune) bool { return strings.ContainsRune("&;=", r) }) { // a name may be one too
		secrets = append(secrets, part)
		if decoded, err := url.QueryUnescape(part); err == nil {
			secrets = append(secrets, decoded)
		}
	}
	return secrets
}

func (w Webhook) request(ctx context.Context, address, secret string, m Message) (*http.Request, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the webhook's address cannot be read")
	}
	if err := adapters.CheckPublicURL(u, w.DevHosts); err != nil {
		return nil, err
	}
	signer, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, errors.New("the webhook secret cannot sign")
	}
	body, err := m.JSON()
	if err != nil {
		return nil, err
	}
	id, now := m.ID.String(), time.Now()
	signature, err := signer.Sign(id, now, body)
	if err != nil {
		return nil, errors.New("the webhook cannot be signed")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the webhook's address cannot be called")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Ledgerline-Notify/1")
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return req, nil
}

// failed is a transport error. All but an address that must not be called may
// pass or be fixed within a day, a certificate too.
func failed(err error) Result {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // it prints the address
	}
	if adapters.Prohibited(err) {
		return Result{Kind: classify.InvalidRequest, Permanent: true, Err: errors.New("the host resolves to an address that must not be called")}
	}
	return Result{Kind: classify.Err(err).Kind, Err: err}
}

// again are the 4xx that ask for another attempt.
var again = map[int]bool{http.StatusRequestTimeout: true, http.StatusTooEarly: true, http.StatusTooManyRequests: true}

// judge decides by the status alone: 2xx is delivered, 5xx and three of the 4xx
// are tried again, everything else is final. Redirects are not followed, or a
// receiver could send us, and the signature, anywhere.
func judge(status int, header http.Header, received time.Time) Result {
	if status/100 == 2 {
		return Result{Kind: classify.OK, Status: status}
	}
	v := classify.Response(classify.HTTPResponse{Op: classify.Write, Status: status, Header: header, Received: received}, classify.Table{})
	r := Result{Kind: v.Kind, Status: status, Permanent: status/100 != 5 && !again[status]}
	if status == http.StatusGone {
		r.Kind = Gone
	}
	if d, ok := classify.RetryAfter(header, received); ok && !r.Permanent {
		r.RetryAfter = d
	}
	return r
}
