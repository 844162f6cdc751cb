package signin

import "slices"

// Role is what somebody may do in an organization.
type Role string

// The roles. Each may do what the ones before it may.
const (
	Viewer        Role = "viewer"        // sees
	Finance       Role = "finance"       // sends again, uploads, corrects, acknowledges
	Administrator Role = "administrator" // pauses, changes settings
)

// Roles are all roles, from the least.
var Roles = []Role{Viewer, Finance, Administrator}

// Allows reports whether the role may do what the wanted one may. A role that is none of [Roles] allows
// nothing and is allowed by none.
func (r Role) Allows(wanted Role) bool {
	has, wants := slices.Index(Roles, r), slices.Index(Roles, wanted)
	return wants >= 0 && has >= wants
}

// higher is the one of two roles that allows more.
func higher(a, b Role) Role {
	if b.Allows(a) || a == "" {
		return b
	}
	return a
}
