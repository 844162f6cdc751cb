package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
)

// posted loses the answer to a round's chunk and posts the journal before
// anybody asks: what is posted cannot be found by its key any more.
func posted(ctx context.Context, s *soak, r *round) (bool, error) {
	rule := sandbox.Rule{Times: 3, Drop: sandbox.AfterEffect} // one may meet a token that is not good any more
	s.stack.Sandbox.Script(match(find(r.book.vendor.send, r.marker()), rule)...)
	if err := s.begin(ctx, r); err != nil {
		return false, err
	}
	soon, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if !until(soon, 2*time.Millisecond, func() bool { return len(s.stack.Sandbox.Records(r.marker())) > 0 }) {
		return false, fmt.Errorf("the chunk has not come to the vendor: %s", s.where(ctx, r))
	}
	return s.stack.Sandbox.Post(r.book.journal) > 0, nil
}

// deleted removes an entry at the vendor that is exported, by this run or an earlier
// one, and is not among those by which look-ups are trusted.
func deleted(ctx context.Context, s *soak, r *round) (bool, error) {
	if err := s.begin(ctx, r); err != nil {
		return false, err
	}
	s.finish(ctx, r) // with its retry, if a fault of another lane has ended it
	soon, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var id, key string
	s.mu.Lock()
	gone := slices.AppendSeq([]string{}, maps.Keys(s.deleted)) // not nil, which would be NULL and like nothing
	s.mu.Unlock()
	until(soon, 100*time.Millisecond, func() bool {
		err := s.admin.QueryRow(ctx, `SELECT entry_id, vendor_key FROM ledgerline.export_entries x WHERE x.integration_id = $1 AND x.state = 'exported'
			  AND NOT EXISTS (SELECT FROM ledgerline.vendor_controls c WHERE c.integration_id = $1 AND x.vendor_key = ANY (c.vendor_keys))
			  AND NOT x.vendor_key = ANY ($2) ORDER BY entry_id DESC LIMIT 1`, r.book.id, gone).Scan(&id, &key)
		return err == nil
	})
	if id == "" {
		return false, errors.New("nothing is exported that could be deleted")
	}
	s.stack.Sandbox.Forget(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deleted[key] = true
	return true, nil
}

// unknown is an entry that is left to people.
type unknown struct {
	Integration, Export uuid.UUID
	ID, Key             string
}

// look does what people do with vouchers whose outcome only the vendor's books
// show: they look there, and resolve them. Only a voucher that was posted needs it.
func (s *soak) look(ctx context.Context) error {
	list, err := rowsOf[unknown](ctx, s, `SELECT integration_id, export_id, entry_id, vendor_key FROM ledgerline.export_entries WHERE state = 'unknown'`)
	if err != nil {
		return err
	}
	type voucher struct {
		book   *book
		export uuid.UUID
		id     string
	}
	posted, all := make(map[voucher]int), make(map[voucher]int)
	for _, u := range list {
		b := s.bookOf(u.Integration)
		v := voucher{b, u.Export, b.entries[u.ID].voucher}
		all[v]++
		for _, record := range s.stack.Sandbox.Records(u.Key) {
			if record.Posted {
				posted[v]++
				s.resolved[u.Key] = true
			}
		}
	}
	for v, n := range posted {
		if n != all[v] {
			s.violated("people: voucher %s of %s is posted in part: %d of %d", v.id, v.book.name, n, all[v])
		}
		_, err := runlog.ResolveVoucher(ctx, s.operator, v.book.organization, runlog.Resolution{ExportID: v.export, VoucherID: v.id, AtVendor: true, Reason: "it is posted", Actor: "soak"})
		if err != nil {
			return fmt.Errorf("%s %s: %w", v.book.name, v.id, err)
		}
	}
	return nil
}

// last gives a book one more voucher, in its last period. It goes out without a
// question, and look-ups can be trusted by it.
func (s *soak) last(ctx context.Context, b *book) error {
	day := month(b.rounds)
	voucher := fmt.Sprintf("%s-last-%.4s", day.Format("2006-01"), b.id)
	r := &round{book: b, entries: []entry{
		{id: voucher + "-1", voucher: voucher, account: "3000", cents: 100, date: day, fate: exported},
		{id: voucher + "-2", voucher: voucher, account: "3001", cents: -100, date: day, fate: exported},
	}}
	for _, e := range r.entries {
		b.entries[e.id] = e
	}
	return s.store(ctx, r)
}
