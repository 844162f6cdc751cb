package classify

// Effect is what is known of a write: whether it happened. It is another
// question than the [Class], which says whether trying again can help, and is
// never inferred from it. "" means that no write was sent.
type Effect string

// The effects. Everything that is not proved is [Open].
const (
	Done Effect = "done" // the vendor confirmed it in the form that its documentation gives
	None Effect = "none" // it is proved that nothing was done and nothing will be
	Open Effect = "open" // anything else: ask before it is sent again
)
