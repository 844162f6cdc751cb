// Package lazy puts off what only some runs of a program need, so that each of them starts
// sooner: the expressions of this module take some milliseconds to compile.
package lazy

import (
	"regexp"
	"sync"
)

// Regexp returns what compiles an expression when it is first asked for. One that is not
// valid panics then, so each is used by a test.
func Regexp(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
