package matrix

import (
	"fmt"
	"time"

	"github.com/ledgerline/ledgerline/internal/answers"
)

// cell is one combination.
type cell struct {
	vendor  vendor
	answer  answers.Answer
	effect  effect
	moment  string
	ask     int // of asks
	numbers [5]int
}

func (c cell) String() string {
	return fmt.Sprintf("%s/%s/%s/%s/%s", c.vendor.adapter, c.answer.Name, c.effect.name, c.moment, asks[c.ask].name)
}

// attempt is how long an attempt may take, in real time.
func (c cell) attempt() time.Duration {
	if c.answer.Hangs {
		return hangTime
	}
	return attemptTime
}

// possible reports whether a combination can be: what is proved to have had no
// effect has none, and part of a request that is all or nothing cannot happen.
func (c cell) possible() bool {
	switch {
	case c.answer.Proof == nothingDone && !c.effect.none:
		return false
	case c.effect.part && c.vendor.atomic:
		return false
	case c.answer.Rule.Rewrite != nil && c.effect.none, c.answer.Rule.TruncateAt > 0 && c.effect.none, c.answer.Rule.CutHeaders > 0 && c.effect.none:
		return false // it is what the vendor says that is changed; without it there is "closed without an answer"
	case c.answer.Proof == nothingDone && c.ask > 0:
		return false // nobody asks
	case c.effect.late == soon && c.answer.Proof == workEnded, c.effect.late == afterAll && c.answer.Proof == workEnded:
		return false // one late effect after a final answer says it: the limit is named
	}
	return true
}

// doubles reports whether the combination is one of the two that the program
// cannot hold: an effect after the time for which it waits, and one after a
// complete answer that the write had failed.
func (c cell) doubles() bool {
	if c.vendor.upserts { // nothing is there twice, but what was rejected is
		return c.effect.late > 0 && c.answer.Proof == workEnded || c.effect.late > refusedFlight+attemptTime && c.refuses()
	}
	return c.effect.late > c.vendor.inFlight+attemptTime || c.effect.late > 0 && c.answer.Proof == workEnded
}

// unknownAllowed reports whether entries may be left to a person. None of these
// combinations needs one: that is for what people post or delete at the vendor.
func (c cell) unknownAllowed() bool { return false }

// refuses reports whether the answer is a no to what was sent, so that a voucher
// that is sent alone may be rejected.
func (c cell) refuses() bool {
	r := c.answer.Rule
	switch {
	case c.moment != singleVoucher:
		return false
	case r.Status == 400 || r.Status == 422: // permanent in any shape
		return true
	}
	return c.answer.Proof != noProof && (r.Status == 200 || r.Status == 412 || r.Status == 500 || r.Rewrite != nil)
}

// every is the whole matrix.
func every() (all []cell) {
	for v := range vendors {
		for a := range vendors[v].answers {
			for e := range effects {
				for m := range moments {
					for q := range asks {
						c := cell{vendors[v], vendors[v].answers[a], effects[e], moments[m], q, [5]int{v, a, e, m, q}}
						if c.possible() {
							all = append(all, c)
						}
					}
				}
			}
		}
	}
	return all
}

// pairwise picks cells until each pair of values of two dimensions that is
// possible at all is in one of them. It is greedy, and the same every time.
func pairwise(all []cell) (some []cell) {
	type pair [4]int
	pairs := func(c cell) (list []pair) {
		n := c.numbers
		answer := n[0]*1000 + n[1] // an answer is its vendor's
		values := []int{answer, n[2], n[3], n[4]}
		for i := range values {
			for j := i + 1; j < len(values); j++ {
				list = append(list, pair{i, values[i], j, values[j]})
			}
		}
		return list
	}
	open := make(map[pair]bool)
	for _, c := range all {
		for _, p := range pairs(c) {
			open[p] = true
		}
	}
	// The cells of an answer stand together: of each, those that cover most.
	for len(open) > 0 {
		before := len(open)
		for _, group := range groups(all) {
			best, most := -1, 0
			for i, c := range group {
				n := 0
				for _, p := range pairs(c) {
					if open[p] {
						n++
					}
				}
				if n > most {
					best, most = i, n
				}
			}
			if best >= 0 {
				some = append(some, group[best])
				for _, p := range pairs(group[best]) {
					delete(open, p)
				}
			}
		}
		if len(open) == before {
			break
		}
	}
	return some
}

// groups are the cells by vendor and answer.
func groups(all []cell) (list [][]cell) {
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].numbers[0] == all[i].numbers[0] && all[j].numbers[1] == all[i].numbers[1] {
			j++
		}
		list = append(list, all[i:j])
		i = j
	}
	return list
}
