package limits

// Quota is how many requests an integration may make in a month. The zero
// value is no limit.
type Quota struct {
	Monthly int64 // requests in a calendar month, UTC; 0 is no limit
	WarnAt  int   // percent at which probes stop and someone is notified
	Refuse  bool  // at 100 % only exports continue
}

// Full is the percentage at which the quota is used up.
const Full = 100

// Percent is how much of the quota is used, in whole percent, rounded down: it
// is 100 only when the quota is used up. It is 0 without a limit.
func (q Quota) Percent(used int64) int {
	if q.Monthly <= 0 {
		return 0
	}
	return int(min(used/q.Monthly*Full+used%q.Monthly*Full/q.Monthly, 1_000_000))
}

// crossed returns the thresholds that are reached, the lower first.
func (q Quota) crossed(used int64) []int {
	var crossed []int
	for _, threshold := range []int{q.WarnAt, Full} {
		if q.Monthly > 0 && threshold > 0 && q.Percent(used) >= threshold && (len(crossed) == 0 || crossed[0] != threshold) {
			crossed = append(crossed, threshold)
		}
	}
	return crossed
}

// Allows says whether another request may be made. Probes go first: they stop
// at the warning. Then, if so configured, everything that can wait for the next
// month or for a larger quota. What is urgent continues: chunks of exports, with
// the look-ups and tokens that they need.
func (q Quota) Allows(p Purpose, urgent bool, used int64) bool {
	switch {
	case q.Monthly <= 0:
		return true
	case p == Probe:
		return q.Percent(used) < min(q.WarnAt, Full)
	case urgent, p == Readback, p == Token, !q.Refuse:
		return true
	}
	return used < q.Monthly
}
