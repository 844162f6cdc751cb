package runlog

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ConsoleAction is what somebody did at the console: it is recorded before it is done, and
// what came of it afterwards, once. Nobody changes it then.
type ConsoleAction struct {
	ID       uuid.UUID
	At       time.Time
	EndedAt  *time.Time // nil: it is under way, or its process ended meanwhile
	Subject  string     // who, as the issuer names them
	Actor    string     // who, for people
	Action   string     // small letters and hyphens: "retry"
	Target   string     // to what it was done, such as an export
	Key      string     // the idempotency key; "": none was given
	Request  []byte     // SHA-256 of what was asked for; required with a key
	Before   json.RawMessage
	After    json.RawMessage
	Status   int // as HTTP has it; 0 until it has ended
	Response json.RawMessage
}

const actionColumns = `action_id AS id, at, ended_at, subject, actor, action, target, coalesce(key, '') AS key, request, before, after, coalesce(status, 0) AS status, response`

// BeginConsoleAction records who is about to do what. If the same person has used the key in
// the organization before, nothing is recorded and the action of then is returned: whether it
// is the same request is for the caller to see. Of two that begin at the same time one is
// recorded.
func BeginConsoleAction(ctx context.Context, db Beginner, organization uuid.UUID, a ConsoleAction) (earlier *ConsoleAction, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		subject, key := storable(a.Subject), storable(a.Key)
		tag, err := tx.Exec(ctx, `
			INSERT INTO ledgerline.console_actions (organization_id, action_id, subject, actor, action, target, key, request, before)
			VALUES (@organization_id, @id, @subject, @actor, @action, @target, nullif(@key, ''), @request, @before)
			ON CONFLICT (organization_id, subject, key) WHERE key IS NOT NULL DO NOTHING`, pgx.StrictNamedArgs{
			"organization_id": organization, "id": a.ID, "subject": subject, "actor": storable(a.Actor), "action": a.Action,
			"target": storable(a.Target), "key": key, "request": a.Request, "before": jsonOrNull(a.Before),
		})
		if err != nil || tag.RowsAffected() > 0 {
			return err
		}
		found, err := queryRow[ConsoleAction](ctx, tx, `SELECT `+actionColumns+` FROM ledgerline.console_actions
			WHERE organization_id = $1 AND subject = $2 AND key = $3`, organization, subject, key)
		earlier = &found
		return err
	})
	return earlier, err
}

// EndConsoleAction records what came of an action: a status as HTTP has it, what it changed,
// and what the person was answered. A second time is an error, and changes nothing.
func EndConsoleAction(ctx context.Context, db Beginner, organization, id uuid.UUID, status int, before, after, response json.RawMessage) error {
	return InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE ledgerline.console_actions SET status = $3, before = coalesce($4, before), after = $5, response = $6
			WHERE organization_id = $1 AND action_id = $2 AND status IS NULL`,
			organization, id, status, jsonOrNull(before), jsonOrNull(after), jsonOrNull(response))
		if err == nil && tag.RowsAffected() == 0 {
			err = fmt.Errorf("the organization has no action %s that is under way", id)
		}
		return err
	})
}

// ActionCursor is a place in the list of actions: after this one come older ones.
type ActionCursor struct {
	At time.Time `json:"at"`
	ID uuid.UUID `json:"id"`
}

// ListConsoleActions returns an organization's actions, newest first: those after a place, nil
// for the newest, at most limit. next is nil if there are no older ones.
func ListConsoleActions(ctx context.Context, db Beginner, organization uuid.UUID, after *ActionCursor, limit int) (list []ConsoleAction, next *ActionCursor, err error) {
	where, args := "", []any{organization, limit + 1}
	if after != nil {
		where, args = " AND (at, action_id) < ($3, $4)", append(args, after.At, after.ID)
	}
	list, err = queryInOrganization[ConsoleAction](ctx, db, organization, `SELECT `+actionColumns+` FROM ledgerline.console_actions
		WHERE organization_id = $1`+where+` ORDER BY at DESC, action_id DESC LIMIT $2`, args...)
	if len(list) > limit {
		list = list[:limit]
		next = &ActionCursor{list[limit-1].At, list[limit-1].ID}
	}
	return list, next, err
}

// jsonOrNull is a text of JSON, NULL if there is none.
func jsonOrNull(m json.RawMessage) *string {
	if len(m) == 0 {
		return nil
	}
	s := string(m)
	return &s
}
