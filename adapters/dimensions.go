package adapters

// DimensionFields are the fields of a vendor that a dimension can go to; nil if
// any name will do.
func DimensionFields(adapter string) []string { return nil }
