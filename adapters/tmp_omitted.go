package adapters

// Omitted describes a body that was too large to be passed on.
type Omitted struct {
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"` // hex
}
