package notify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/exports"
)

// wordings are the causes in words: a subject for one line, what it means, and
// where to look. {…} are facts; a command whose fact is not known is left out.
var wordings = []struct {
	cause    Cause
	subject  string
	means    string
	commands []string
}{
	{Failing, "{integration} is failing", "Two runs in a row failed, or the vendor cannot be reached, fails for long, or has no credits left. Ledgerline keeps trying. You are notified when it works again.",
		[]string{"starter health --org {organization}", "starter exports show {export} --org {organization}", "starter exports list --org {organization}", "starter logs --org {organization} --since 24h"}},
	{Recovered, "{integration} works again", "The failing period is over.",
		[]string{"starter exports list --org {organization}"}},
	{ExportFailed, "{integration}: the export of {period} failed", "A scheduled export has ended before all of it was exported. {unsent} You are notified when nothing of it is left.",
		[]string{"starter exports show {export} --org {organization}", "starter exports retry {export} --org {organization}", "starter logs --org {organization} --since 24h"}},
	{ExportRecovered, "{integration}: nothing is left of the export of {period}", "A later run has exported what was left of an export that failed.",
		[]string{"starter exports show {export} --org {organization}", "starter exports list --org {organization}"}},
	{ExportOverdue, "{integration}: the export of {period} is still pending", "An export takes longer than it should. {waiting} You are notified every day, and when it has ended.",
		[]string{"starter exports show {export} --org {organization}", "starter health --org {organization}"}},
	{ExportEnded, "{integration}: the export of {period} has ended", "An export that was pending for too long is no longer pending.",
		[]string{"starter exports show {export} --org {organization}"}},
	{WorkflowFailing, "{integration}: a workflow cannot continue", "The code of a workflow fails whenever a worker continues it, so nothing of it happens until that is fixed. Run the version of the worker that it began with, or one with a fix. You are notified when it continues.",
		[]string{"starter exports list --org {organization}"}},
	{WorkflowRecovered, "{integration}: a workflow continues", "A workflow whose code failed continues, or has ended.",
		[]string{"starter exports list --org {organization}"}},
	{Late, "{integration} started a run late", "A scheduled run started later than its schedule allows. It exports the right period all the same.",
		[]string{"starter exports show {export} --org {organization}", "starter ticks list --org {organization}"}},
	{Missed, "{integration} missed a scheduled run", "A scheduled run did not happen, so its period has not been exported.",
		[]string{"starter ticks list --org {organization}", "starter schedules list --org {organization}"}},
	{Quota80, "{integration} has used {percent} of its requests", "This month's quota may run out. Health probes stop first.",
		[]string{"starter quota --org {organization}"}},
	{Quota100, "{integration} has used all of its requests", "Calls beyond this month's quota are refused if the integration file says so; otherwise they cost extra.",
		[]string{"starter quota --org {organization}"}},
	{Credentials, "{integration}: the vendor refuses the credentials", "No call works until the secret is renewed where its reference points. You are notified when it works again.",
		[]string{"starter logs --org {organization} --class permanent --since 24h"}},
	{SecretExpires, "{integration}: {secret}", "Once a secret has expired, the vendor refuses it, and no call or export works until it is renewed. {remedy}",
		[]string{"starter health --org {organization}"}},
	{Rejected, "{integration} has refused entries", "An export has ended, and some of its entries were refused: by the vendor, or before they were sent. The others are exported.",
		[]string{"starter exports show {export} --org {organization}", "starter exports retry {export} --org {organization}"}},
	{LateErrors, "{integration} has entries with late errors", "The vendor accepted entries and found errors in them later.",
		[]string{"starter exports show {export} --org {organization}"}},
	{Unsent, "{integration} has entries that were not sent", "An export ended before it had sent all of its entries. Those that were not sent were not refused. {unsent}",
		[]string{"starter exports show {export} --org {organization}", "starter integrations verify --org {organization} --integration {integration}", "starter exports retry {export} --org {organization}"}},
	{Test, "test notification", "Somebody is testing whether notifications arrive. There is nothing to do.",
		[]string{"starter notifications list --org {organization}"}},
}

// remedies say how a secret is renewed, by who says when it ends. The one that
// a file says is Entra's.
var remedies = map[expiry.Source]string{
	expiry.File:  "Create a new client secret in Entra, store it where the reference points, then change clientSecretExpires in the integration file and apply it.",
	expiry.Token: "Get a new token from the vendor and store it where the reference points.",
	"":           "Create a new secret at the vendor, store it where the reference points, and change clientSecretExpires in the integration file if it is set there.",
}

// unsent says what to do about an export that ended before it had sent all, by the
// kind of its error.
func unsent(kind classify.Kind) string {
	switch kind {
	case classify.Configuration, classify.RequestDocument, classify.NotFound:
		return "The vendor is not set up as exports need it: do what starter integrations verify says about each difference, then retry."
	case classify.Business, classify.BadRequest, classify.Unprocessable, classify.Duplicate:
		return "The vendor refuses every request, or too many vouchers, for example because the period is closed there: correct what its message names, then retry."
	case classify.PayloadTooLarge:
		return "Requests are too large for the vendor or for a proxy on the way: have that limit raised, or lower export.chunkSize, then retry."
	}
	return "The error says why: correct that, then retry."
}

// waitingFor says what a pending export waits for, and what to do.
func waitingFor(w *Waiting) string {
	if w == nil {
		return "starter exports show says what it waits for."
	}
	switch w.For {
	case ForRun:
		return "Its run no longer exists, and its entries belong to it: resume it with starter sync of its period."
	case ForResume:
		return "The integration is paused: resume it with starter integrations resume."
	case ForVendor:
		return "The vendor takes no requests, and the run tries again by itself: see starter health."
	case ForWrites:
		return "What was sent may still take effect, and nothing is sent again before that is over."
	}
	return "Its run waits for nothing: it is under way, or no worker takes its tasks."
}

// Message is a notification ready to be sent. The same notification is the
// same message, however often it is made.
type Message struct {
	ID           uuid.UUID // the notification's
	Notification Notification
	Organization string // its short name; "" if it has none
	Integration  string // its name, "" if there is none
	Export       string // how a command line names the export of the facts; "" is by the beginning of its ID
	Adapter      string
}

// Type is the event type of the webhook: "ledgerline.failing".
func (m Message) Type() string { return "ledgerline." + string(m.Notification.Cause) }

// words returns the wording with the facts in place.
func (m Message) words() (subject, means string, commands []string) {
	export := "" // as a command line names it
	if id := m.Notification.Facts.ExportID; id != nil {
		export = cmp.Or(m.Export, exports.Short(*id))
	}
	percent := "a large part" // in a message for what was suppressed
	if q := m.Notification.Facts.Quota; q != nil {
		percent = fmt.Sprintf("%d %%", q.Percent)
	}
	secret, remedy := "a secret expires or has expired", remedies[""]
	if s := m.Notification.Facts.Secret; s != nil {
		secret = "secret " + s.Credential + " " + expiry.Secret{ExpiresAt: s.ExpiresAt}.When(m.Notification.OccurredAt)
		remedy = remedies[s.Source]
	}
	period := cmp.Or(m.Notification.Facts.Period, "a period")
	put := strings.NewReplacer(
		"{period}", period, "{waiting}", waitingFor(m.Notification.Facts.Waiting),
		"{percent}", percent, "{secret}", secret, "{remedy}", remedy, "{unsent}", unsent(m.Notification.Facts.ErrorKind),
		"{integration}", m.Integration, "{export}", export, "{organization}", cmp.Or(m.Organization, m.Notification.OrganizationID.String()),
	)
	for _, w := range wordings {
		if w.cause != m.Notification.Cause {
			continue
		}
		for _, c := range w.commands {
			if export != "" || !strings.Contains(c, "{export}") {
				commands = append(commands, put.Replace(c))
			}
		}
		return put.Replace(w.subject), put.Replace(w.means), commands
	}
	return string(m.Notification.Cause), "", nil
}

// Subject says it in one line, with how many integrations it concerns besides.
func (m Message) Subject() string {
	subject, _, _ := m.words()
	if n := len(m.others()); n > 0 {
		subject += fmt.Sprintf(" (and %d more)", n)
	}
	return "[Ledgerline] " + subject
}

// others are the further integrations that it concerns: now, and since the last
// notification of the cause.
func (m Message) others() []string {
	others := slices.Clone(m.Notification.Facts.Others)
	if e := m.Notification.Facts.Earlier; e != nil {
		for _, name := range e.Integrations {
			if name != m.Integration && !slices.Contains(others, name) {
				others = append(others, name)
			}
		}
	}
	return others
}

// sentence is the subject with the names of all that it concerns.
func (m Message) sentence(subject string) string {
	if others := m.others(); len(others) > 0 {
		subject += " (also " + strings.Join(others, ", ") + ")"
	}
	return subject + "."
}

// data is the webhook's "data".
type data struct {
	NotificationID uuid.UUID `json:"notificationId"`
	OrganizationID uuid.UUID `json:"organizationId"`
	IntegrationID  string    `json:"integrationId,omitempty"`
	Integration    string    `json:"integration,omitempty"`
	Adapter        string    `json:"adapter,omitempty"`
	Cause          Cause     `json:"cause"`
	Summary        string    `json:"summary"`
	Facts
	Commands []string `json:"commands,omitempty"`
}

// JSON is the body of the webhook: type, timestamp and data, as Standard
// Webhooks has it.
func (m Message) JSON() ([]byte, error) {
	subject, means, commands := m.words()
	n := m.Notification
	d := data{
		NotificationID: m.ID, OrganizationID: n.OrganizationID, Integration: m.Integration, Adapter: m.Adapter,
		Cause: n.Cause, Summary: m.sentence(subject) + " " + means, Facts: n.Facts, Commands: commands,
	}
	if n.IntegrationID != uuid.Nil {
		d.IntegrationID = n.IntegrationID.String()
	}
	return json.Marshal(struct {
		Type      string    `json:"type"`
		Timestamp time.Time `json:"timestamp"`
		Data      data      `json:"data"`
	}{m.Type(), n.OccurredAt.UTC(), d})
}

// Text is the body of the e-mail, with "\n" between lines.
func (m Message) Text() string {
	subject, means, commands := m.words()
	n, f := m.Notification, m.Notification.Facts
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n\n", m.sentence(subject), means)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-13s "+format+"\n", append([]any{name}, args...)...)
	}
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	line("when", "%s", at(n.OccurredAt))
	if m.Integration != "" {
		line("integration", "%s (%s, %s)", m.Integration, m.Adapter, n.IntegrationID)
	}
	if f.Since != nil {
		line("since", "%s", at(*f.Since))
	}
	if f.ErrorKind != "" {
		line("error", "%s", f.ErrorKind)
	}
	if f.Period != "" {
		line("period", "%s", f.Period)
	}
	if w := f.Waiting; w != nil {
		line("waits for", "%s", w.For)
		if w.Until != nil {
			line("until", "%s", at(*w.Until))
		}
	}
	if w := f.Workflow; w != nil {
		line("workflow", "%s %s", w.Type, w.ID)
	}
	if f.ScheduledAt != nil {
		line("scheduled", "%s", at(*f.ScheduledAt))
	}
	if f.LateSeconds > 0 {
		line("late by", "%s", time.Duration(f.LateSeconds)*time.Second)
	}
	if e := f.Entries; e != nil {
		line("entries", "%d: %d exported, %d refused, %d unknown, %d not sent, %d with late errors", e.Total, e.Exported, e.Rejected, e.Unknown, e.Unsent, e.LateErrors)
	}
	if q := f.Quota; q != nil {
		line("quota", "%d of %d requests in %s", q.Used, q.Limit, q.Month)
	}
	if s := f.Secret; s != nil {
		says := "the integration file"
		if s.Source == expiry.Token {
			says = "the token itself; its signature is not verified"
		}
		line("secret", "%s", s.Credential)
		line("expires", "%s, according to %s", at(s.ExpiresAt), says)
	}
	if e := f.Earlier; e != nil && e.Count > 0 {
		line("earlier", "%d more of this cause in the hour after the last notification: %s", e.Count, strings.Join(e.Integrations, ", "))
	}
	line("organization", "%s", n.OrganizationID)
	line("notification", "%s", m.ID)
	if len(commands) > 0 {
		fmt.Fprintf(&b, "\nTo see more:\n  %s\n", strings.Join(commands, "\n  "))
	}
	return b.String()
}
