package limits

// Crossed lets the tests ask a quota for its thresholds.
func (q Quota) Crossed(used int64) []int { return q.crossed(used) }

// Left is how many tokens there are.
func (b *Budget) Left(h Host) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Tokens - b.missing[h]
}
