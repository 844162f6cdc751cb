package model

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// write is an ad-hoc write: one request, under one correlation ID, made by a run
// of the workflow Invoke and by those to which that is reset.
type write struct {
	in     activities.Invocation
	vendor vendor
	safe   bool     // the vendor can be asked, or a repeat has no further effect
	keys   []string // of what it stores; none if nobody can ask for it
	torn   bool     // it may have been done in part
	runs   []*invoke
}

// invoke is one run.
type invoke struct {
	w     *world
	of    *write
	id    uuid.UUID
	over  bool
	task  *task
	call  invocation
	trail activities.Trail // of one that is over
	ok    bool
}

// claimRow is what the database says of a write.
type claimRow struct {
	Effect    string
	OpenUntil int64 // in µs
	Attempts  int
}

// Ad-hoc writes happen once, whatever becomes of their runs, and what is said of
// their effects is true.
func TestWrites(t *testing.T) {
	defaults(t)
	p := newParts(t)
	rapid.Check(t, func(rt *rapid.T) {
		m := &writes{world: newWorld(rt, p), rows: map[uuid.UUID]claimRow{}}
		rt.Repeat(map[string]func(*rapid.T){
			"":                    m.check,
			"a write begins":      m.begin,
			"a run goes on":       m.goOn,
			"a run goes on again": m.goOn, // most steps are that
			"a run goes on more":  m.goOn,
			"somebody wakes":      m.wake,
			"nobody is heard":     m.timeOut,
			"a run is reset":      m.reset,
			"time passes":         m.timePasses,
		})
		m.settle()
	})
}

// writes are the ad-hoc writes of a case.
type writes struct {
	*world
	all  []*write
	rows map[uuid.UUID]claimRow // at the last look
}

// begin begins a write that is drawn.
func (m *writes) begin(t *rapid.T) {
	n := rapid.IntRange(0, 1).Draw(t, "integration")
	spec, v := m.specs[n], m.vendors[n]
	u := &write{vendor: v, safe: true, in: activities.Invocation{
		OrganizationID: m.org, IntegrationID: spec.ID, AdapterName: spec.Adapter, CorrelationID: m.newID(), Operation: adapters.Call, Policy: policy, Actor: "model",
	}}
	if u.safe = v.adapter == "xledger" || rapid.Bool().Draw(t, "safe"); u.safe {
		entries := make([]adapters.Entry, 2)
		for i := range entries {
			id := m.newID()
			u.keys = append(u.keys, fmt.Sprintf("%x", id[:]))
			entries[i] = adapters.Entry{Key: u.keys[i], Voucher: u.keys[0][:8], Account: "3000", Amount: []string{"5.00", "-5.00"}[i], Currency: "NOK", Date: m.clock.Now()}
		}
		body, err := m.adapters[spec.Adapter].(adapters.Exporter).ExportBody(adapters.Form{Settings: spec.Settings}, entries)
		require.NoError(m.t, err)
		u.in.Body = body
	} else {
		path := map[string]string{
			"dataverse":       "led_others",
			"businesscentral": "companies(" + sandbox.DemoCompanyID + ")/journals(" + sandbox.DemoJournalID + ")/journalLines",
		}[spec.Adapter]
		u.in.Body, _ = json.Marshal(map[string]any{"method": "POST", "path": path, "body": map[string]any{"description": "x", "accountNumber": "3000", "amount": 1}})
	}
	m.all = append(m.all, u)
	m.newRun(u)
}

func (m *writes) newRun(u *write) *invoke {
	r := &invoke{w: m.world, of: u, id: m.newID(), call: invocation{in: u.in, scheduled: m.clock.Now()}}
	u.runs = append(u.runs, r)
	return r
}

func (m *writes) invokes() (all []*invoke) {
	for _, u := range m.all {
		all = append(all, u.runs...)
	}
	return all
}

// goOn makes the next attempt of a run.
func (m *writes) goOn(t *rapid.T) {
	r := pick(t, m.invokes(), func(r *invoke) bool { return !r.over && r.task == nil })
	m.pass(r.call.next.Sub(m.clock.Now()))
	r.attempt(t)
}

// attempt makes one attempt. With a nil t nothing goes wrong.
func (r *invoke) attempt(t *rapid.T) {
	c, u := &r.call, r.of
	c.attempts++
	k := &task{
		w: r.w, workflow: "invoke/" + u.in.CorrelationID.String(), run: r.id, name: activities.CallName, arg: u.in, attempt: c.attempts, scheduled: c.scheduled,
		beat: slices.Clone(c.beat), integration: u.in.IntegrationID, correlation: u.in.CorrelationID, repeats: u.safe && u.vendor.adapter == "dataverse",
	}
	if t != nil {
		k.skew = rapid.SampledFrom([]time.Duration{0, 0, time.Minute, -time.Minute}).Draw(t, "the worker's clock")
		k.trouble = drawTrouble(t)
		v := u.vendor
		if ask := v.drawAsk(t); !ask.lies { // there is no control
			r.w.script(ask, v, v.look, u.in.CorrelationID)
		}
		f := v.drawSend(t, v.inFlight+lateFor)
		if u.safe {
			u.torn = u.torn || f.rules != nil && f.rules[0].ActFirst > 0
			r.w.script(f, v, v.send, u.in.CorrelationID)
		} else if f.rules != nil && survivable(f) {
			r.w.script(f, v, sandbox.Match{Method: "POST"}, u.in.CorrelationID)
		}
	}
	r.task = k
	if k.start() {
		r.taskOver()
	}
}

// survivable is false for a fault of a single request that nobody can ask about
// which no protocol survives: one that is done and answered 503 (the documentation
// names the risk), and one that is confirmed and not done, or only later.
func survivable(f *fault) bool {
	rule := f.rules[0]
	confirmed := rule.Status/100 == 2 || rule.TruncateAt > 0 // of no body, nothing can be cut
	return rule.Rewrite == nil && rule.ActFirst == 0 && !(f.acts && rule.Status == 503) && (f.acts && rule.EffectDelayMS == 0 || !confirmed)
}

// taskOver does what Temporal does once an attempt is over.
func (r *invoke) taskOver() {
	k, c := r.task, &r.call
	r.task = nil
	if !k.heard() {
		r.unheard(k)
		return
	}
	result, err := k.called()
	last := result.Trail.Last()
	if err != nil && last.Retryable && c.attempts < int32(policy.MaxAttempts()) {
		c.beat, c.next = result.Trail, r.w.clock.Now().Add(last.Delay)
		return
	}
	r.over, r.ok, r.trail = true, err == nil, result.Trail
}

func (r *invoke) unheard(k *task) {
	c := &r.call
	k.mu.Lock()
	c.beat = slices.Clone(k.beat)
	k.mu.Unlock()
	c.next = k.began.Add(policy.AttemptTimeout + policy.Wait(int(c.attempts)))
	if c.attempts == int32(policy.MaxAttempts()) || c.next.After(c.scheduled.Add(policy.Budget)) {
		r.over, r.trail = true, c.beat.Lost(int(c.attempts), c.scheduled, c.next)
	}
}

// tasks are those that are held.
func (m *writes) tasks() (all []*task) {
	for _, r := range m.invokes() {
		if r.task != nil {
			all = append(all, r.task)
		}
	}
	return append(all, m.loners...)
}

func (m *writes) wake(t *rapid.T) {
	k := pick(t, m.tasks(), func(*task) bool { return true })
	fate := drawTrouble(t)
	if fate.what == lost {
		k.lose()
	} else if !k.resume(fate) {
		return
	}
	m.freed(k)
}

func (m *writes) freed(k *task) {
	for _, r := range m.invokes() {
		if r.task == k {
			r.taskOver()
			return
		}
	}
	m.loners = slices.DeleteFunc(m.loners, func(other *task) bool { return other == k })
}

func (m *writes) pass(d time.Duration) {
	for _, r := range m.invokes() {
		if r.task != nil && r.task.held == arrived && d > time.Second && r.task.resume(trouble{what: hold}) {
			r.taskOver()
		}
		if r.task != nil && r.task.held != arrived && m.clock.Now().Add(d).Sub(r.task.began) > holdFor {
			r.task.doom()
		}
	}
	m.world.pass(d)
}

func (m *writes) timePasses(t *rapid.T) {
	m.pass(rapid.SampledFrom([]time.Duration{10 * time.Millisecond, time.Second, 10 * time.Second, time.Minute, 20 * time.Minute}).Draw(t, "for"))
}

// timeOut lets Temporal give up an attempt that is held; it may go on later.
func (m *writes) timeOut(t *rapid.T) {
	r := pick(t, m.invokes(), func(r *invoke) bool { return r.task != nil })
	k := r.task
	m.pass(k.began.Add(policy.AttemptTimeout).Sub(m.clock.Now()))
	if r.task == nil {
		return
	}
	r.alone()
	r.unheard(k)
}

func (r *invoke) alone() {
	if r.task != nil {
		r.w.loners = append(r.w.loners, r.task)
		r.task = nil
	}
}

// reset resets a write to its beginning: its run is terminated, if it has not
// ended, and another one makes the same call again.
func (m *writes) reset(t *rapid.T) {
	m.again(pick(t, m.all, func(*write) bool { return true }))
}

func (m *writes) again(u *write) *invoke {
	for _, r := range u.runs {
		r.alone()
		r.over = true
	}
	return m.newRun(u)
}

// check is what holds after every step.
func (m *writes) check(t *rapid.T) {
	m.mu.Lock()
	slow, violations := m.slow, m.violations
	m.mu.Unlock()
	if slow && len(violations) == 0 {
		t.Skip("the machine is too slow for what was drawn to be late")
	}
	require.Empty(t, violations)
	there, pending := make(map[string]int), make(map[string]bool) // by correlation
	for _, e := range m.vendor.Effects() {
		if e.Kind != "upsert_again" {
			there[e.CorrelationID]++
		}
	}
	m.mu.Lock()
	for _, e := range m.vendor.Log() {
		f := m.scripted[e.Rule]
		pending[e.CorrelationID] = pending[e.CorrelationID] || e.Wrote && e.Ended.IsZero() && (f == nil || f.acts)
	}
	m.mu.Unlock()
	for _, u := range m.all {
		id := u.in.CorrelationID
		whole := max(1, len(u.keys))
		story := func() (s string) {
			for _, e := range m.vendor.Log() {
				if e.CorrelationID == id.String() {
					s += fmt.Sprintf("%d at %s wrote %v status %d effects %d ended %s; ", e.Seq, clockOf(e.At), e.Wrote, e.Status, e.Effects, clockOf(e.Ended))
				}
			}
			return fmt.Sprintf("%s %s: %s", u.vendor.adapter, u.in.Body, s)
		}
		n := there[id.String()]
		if n != 0 && n != whole && !(u.torn && n < whole) {
			require.Fail(t, "a write is done twice, or in part", "%d effects of %d: %s", n, whole, story())
		}
		row := m.claim(id)
		require.GreaterOrEqual(t, row.OpenUntil, m.rows[id].OpenUntil)
		require.GreaterOrEqual(t, row.Attempts, m.rows[id].Attempts)
		m.rows[id] = row
		says := []classify.Effect{classify.Effect(row.Effect)}
		for _, r := range u.runs {
			if !r.over || len(r.trail) == 0 {
				continue
			}
			effect, _, _ := r.trail.Effect()
			if r.ok { // also accepted, as by 202, and not confirmed
				require.Contains(t, []classify.Effect{classify.Done, classify.Open}, effect, story())
			}
			if effect == classify.Done {
				says = append(says, effect)
			}
		}
		for _, effect := range says {
			switch {
			case effect == classify.Done && n != whole:
				require.Fail(t, "a write is done, and not at the vendor", story())
			case effect == classify.None && (n != 0 || pending[id.String()]):
				require.Fail(t, "a write had no effect, and it is at the vendor or may come there", story())
			}
		}
	}
}

func (m *writes) claim(correlation uuid.UUID) (row claimRow) {
	err := m.database.Admin.QueryRow(context.Background(), `SELECT effect, (extract(epoch FROM open_until) * 1e6)::bigint, attempts FROM ledgerline.write_claims WHERE correlation_id = $1`, correlation).
		Scan(&row.Effect, &row.OpenUntil, &row.Attempts)
	if err != pgx.ErrNoRows {
		require.NoError(m.t, err)
	}
	return row
}

// settle makes each write again in good weather until it is done; only one that
// nobody can ask for may stay open.
func (m *writes) settle() {
	m.vendor.Unscript()
	for _, k := range m.tasks() {
		for !k.resume(trouble{}) {
		}
		m.freed(k)
		m.check(m.t)
	}
	for _, u := range m.all {
		for range 3 {
			if m.rows[u.in.CorrelationID].Effect == "done" {
				break
			}
			m.pass(time.Hour) // whoever asks for it again does so later
			for r := m.again(u); !r.over; m.check(m.t) {
				m.pass(r.call.next.Sub(m.clock.Now()))
				r.attempt(nil)
			}
		}
		if effect := m.rows[u.in.CorrelationID].Effect; effect != "done" {
			require.False(m.t, u.safe && !u.torn, "a write does not come to its end")
			require.Equal(m.t, "open", effect)
		}
	}
}
