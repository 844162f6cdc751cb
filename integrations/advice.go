package integrations

import (
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/notify"
)

// Where says where a worker looks for a secret of an organization. It never has a value.
func (r Ref) Where(organization uuid.UUID) string {
	if name, ok := strings.CutPrefix(string(r), "env:"); ok {
		return "variable " + name + " of the worker, which LEDGERLINE_ENV_SECRETS must allow to the organization"
	}
	return "file $LEDGERLINE_SECRETS/" + organization.String() + "/" + strings.TrimPrefix(string(r), "file:") + " where the worker runs"
}

// advice is what to do about a delivery that has failed, by the kind of the error. {secret}
// and {where} are the channel's secret, {to} its receiver.
var advice = map[classify.Kind]string{
	classify.Credentials:    "its signing secret {secret} is missing or is not one: put whsec_ and the base64 of 24 to 64 random bytes into the {where}; starter doctor has the worker's own words",
	classify.Unauthorized:   "the receiver refuses the signature: give {to} the same secret as is in the {where}",
	classify.Forbidden:      "the receiver refuses the signature: give {to} the same secret as is in the {where}",
	classify.NotFound:       "there is nothing at {to}: correct the address in the file and apply it",
	classify.Configuration:  "the address {to} cannot be used: it must be https at a public address; correct the file and apply it",
	classify.DNS:            "the name of {to} cannot be resolved: correct the address, or the worker's DNS",
	classify.Network:        "{to} cannot be reached from the worker: check the address, the network and its firewall",
	classify.TLS:            "the certificate of {to} is refused: it must be valid and of a known authority",
	classify.AttemptTimeout: "{to} does not answer within 10 s: let it answer first and work after that",
	notify.Gone:             "the receiver says that it no longer exists, and the channel is disabled: correct the address and apply the file",
	notify.MailRefused:      "the mail server refuses it: check LEDGERLINE_SMTP_URL of the worker and the recipients {to}",
	notify.MailDeferred:     "the mail server takes it later: it is tried again",
	notify.NoStartTLS:       "the mail server offers no encryption: use smtps:// in LEDGERLINE_SMTP_URL of the worker, or another server",
	notify.RecipientRefused: "the mail server refuses some of {to}; the others have it: correct the recipients in the file and apply it",
}

// mailAdvice is the same where a channel of e-mail means something else by a kind.
var mailAdvice = map[classify.Kind]string{
	classify.Credentials:   "the worker cannot log in at the mail server: check LEDGERLINE_SMTP_URL of the worker",
	classify.Configuration: "the worker has no mail server: set LEDGERLINE_SMTP_URL where it runs",
	classify.Unauthorized:  "the mail server refuses the login in LEDGERLINE_SMTP_URL of the worker",
}

// host is the receiver without its path, by which many a receiver is known.
func (w Webhook) host() string {
	u, err := url.Parse(w.URL)
	if err != nil {
		return "the receiver"
	}
	return u.Host
}

// Advice says what to do about a delivery to the channel that has failed; "" if the kind
// says all.
func (c Channel) Advice(organization uuid.UUID, kind classify.Kind) string {
	text, to, secret, where := advice[kind], "", "", ""
	switch {
	case c.Webhook != nil:
		to, secret, where = c.Webhook.host(), string(c.Webhook.Secret), c.Webhook.Secret.Where(organization)
	case c.Email != nil:
		to = strings.Join(c.Email.To, ", ")
		if mail, ok := mailAdvice[kind]; ok {
			text = mail
		}
	}
	return strings.NewReplacer("{to}", to, "{secret}", secret, "{where}", where).Replace(text)
}
