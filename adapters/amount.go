package adapters

import (
	"math/big"
	"regexp"
)

// vendorAmount is an amount as vendors write it. The exponent is bounded, because what
// it stands for is written out to be compared.
var vendorAmount = regexp.MustCompile(`^[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?$`)

// SameAmount compares two decimals by their value; what is no decimal is compared as
// text.
func SameAmount(a, b string) bool {
	if !vendorAmount.MatchString(a) || !vendorAmount.MatchString(b) {
		return a == b
	}
	x, _ := new(big.Rat).SetString(a)
	y, _ := new(big.Rat).SetString(b)
	return x.Cmp(y) == 0
}
