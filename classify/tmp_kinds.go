package classify

const (
	Unsettled     Kind = "unsettled"
	NotOwner      Kind = "not_owner"
	Untrusted     Kind = "untrusted_lookup"
	ClaimConflict Kind = "claim_conflict"
	Late          Kind = "out_of_time"
)

func (k Kind) RefusesContent() bool {
	return k == Business || k == BadRequest || k == Unprocessable || k == Duplicate || k == Transformation
}
func (k Kind) Passes() bool { return k == QuotaExhausted || k == Paused }
