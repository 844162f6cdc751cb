package integrations

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/notify"
)

// Channel is where an organization is notified of trouble. Exactly one of Webhook
// and Email is set.
type Channel struct {
	Name    string         `json:"name"` // unique in the organization: lower-case letters, digits and dashes
	Webhook *Webhook       `json:"webhook,omitempty"`
	Email   *Email         `json:"email,omitempty"`
	Causes  []notify.Cause `json:"causes,omitempty"` // nil: all
}

// Webhook is a channel's receiver of signed webhooks.
type Webhook struct {
	URL    string `json:"url"`
	Secret Ref    `json:"secret"` // of Standard Webhooks: whsec_…
}

// Email are a channel's recipients. The mail server is the deployment's.
type Email struct {
	To []string `json:"to"`
}

// ChannelKind is how a channel is reached. It is stored and shown.
type ChannelKind string

// The kinds of channel.
const (
	WebhookChannel ChannelKind = "webhook"
	EmailChannel   ChannelKind = "email"
)

// Kind says how the channel is reached.
func (c Channel) Kind() ChannelKind {
	if c.Webhook != nil {
		return WebhookChannel
	}
	return EmailChannel
}

// Bounds of a notifications section.
const (
	maxChannels   = 20
	maxRecipients = 20
)

// notifications reads an organization's channels.
func (p *parser) notifications(n *yaml.Node, org uuid.UUID) {
	if n.Kind != yaml.SequenceNode || len(n.Content) > maxChannels {
		p.errorf(n, "notifications", "%s; want a list of at most %d channels, or [] for none", kindOf(n), maxChannels)
		return
	}
	if _, twice := p.channels[org]; twice && org != uuid.Nil {
		p.errorf(n, "notifications", "the organization has a notifications section above; want one for all of its channels")
		return
	}
	p.channels[org] = []Channel{}
	names := make(map[string]bool)
	for i, item := range n.Content {
		p.channels[org] = append(p.channels[org], p.channel(item, fmt.Sprintf("notifications[%d]", i), names))
	}
}

func (p *parser) channel(n *yaml.Node, at string, names map[string]bool) (c Channel) {
	m := p.fields(n, at, "name", "webhook", "email", "causes")
	var node *yaml.Node
	if c.Name, node = p.text(n, m, at, "name", true); node != nil {
		if !validName().MatchString(c.Name) {
			p.errorf(node, at+".name", "%q; want 1 to 63 lower-case letters, digits and dashes", clip(c.Name))
		} else if names[c.Name] {
			p.errorf(node, at+".name", "duplicate name %q; give one of the two another", c.Name)
		}
		names[c.Name] = true
	}
	webhook, hasWebhook := m["webhook"]
	email, hasEmail := m["email"]
	if m != nil && hasWebhook == hasEmail {
		p.errorf(n, at, "want either webhook or email")
	}
	if hasWebhook {
		c.Webhook = p.webhook(webhook, at+".webhook")
	}
	if hasEmail {
		c.Email = p.email(email, at+".email")
	}
	if causes, ok := m["causes"]; ok {
		c.Causes = p.causes(causes, at+".causes")
	}
	return c
}

func (p *parser) webhook(n *yaml.Node, at string) *Webhook {
	m := p.fields(n, at, "url", "secret")
	w := &Webhook{}
	raw, node := p.text(n, m, at, "url", true)
	if node != nil {
		u, err := url.Parse(raw)
		switch {
		case err != nil || u.Host == "":
			// The parse error would repeat the address, which may hold a password.
			p.errorf(node, at+".url", "not a valid address; want https://host/path")
		case u.RawQuery != "" || u.ForceQuery:
			p.errorf(node, at+".url", "has a query (?…), where secrets end up; the signature proves who sends; want the address without it")
		default:
			if err := adapters.CheckPublicURL(u, p.options.DevHosts); err != nil {
				p.errorf(node, at+".url", "%v", err)
			}
		}
	}
	w.URL = raw
	secret, node := p.text(n, m, at, "secret", true)
	if node != nil {
		if err := Ref(secret).Validate(); err != nil {
			p.errorf(node, at+".secret", "%v", err)
		}
	}
	w.Secret = Ref(secret)
	return w
}

func (p *parser) email(n *yaml.Node, at string) *Email {
	m := p.fields(n, at, "to")
	e := &Email{}
	list, ok := m["to"]
	if !ok {
		if m != nil {
			p.errorf(n, at+".to", "missing; want a list of 1 to %d addresses", maxRecipients)
		}
		return e
	}
	if list.Kind != yaml.SequenceNode || len(list.Content) == 0 || len(list.Content) > maxRecipients {
		p.errorf(list, at+".to", "%s; want a list of 1 to %d addresses", kindOf(list), maxRecipients)
		return e
	}
	for i, item := range list.Content {
		field := fmt.Sprintf("%s.to[%d]", at, i)
		if item.Kind != yaml.ScalarNode {
			p.errorf(item, field, "%s; want an address", kindOf(item))
		} else if err := notify.CheckAddress(item.Value); err != nil {
			p.errorf(item, field, "%q: %v", clip(item.Value), err)
		} else if slices.Contains(e.To, item.Value) {
			p.errorf(item, field, "duplicate address %q; write it once", clip(item.Value))
		}
		e.To = append(e.To, item.Value)
	}
	return e
}

// causes reads which causes a channel is notified of. Whoever is notified of
// trouble is notified of its end.
func (p *parser) causes(n *yaml.Node, at string) (causes []notify.Cause) {
	var known []string
	for _, c := range notify.Causes() {
		known = append(known, c.Name())
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		p.errorf(n, at, "%s; want a list of %s; left out, it is all of them", kindOf(n), strings.Join(known, ", "))
		return nil
	}
	for i, item := range n.Content {
		cause, ok := notify.CauseNamed(item.Value)
		if item.Kind != yaml.ScalarNode || !ok {
			p.errorf(item, fmt.Sprintf("%s[%d]", at, i), "%q%s; want %s", clip(item.Value), didYouMean(item.Value, known), strings.Join(known, ", "))
		}
		if !slices.Contains(causes, cause) { // as where a file has a cause by both of its names
			causes = append(causes, cause)
		}
	}
	for _, c := range causes {
		if end := c.EndedBy(); end != "" && c != notify.Credentials && !slices.Contains(causes, end) { // files with credentials alone have always been taken
			p.errorf(n, at, "has %s without %s; add %s, so that people are notified of the end too", c, end, end)
		}
	}
	return causes
}
