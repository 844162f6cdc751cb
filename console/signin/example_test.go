package signin_test

import (
	"fmt"

	"github.com/ledgerline/ledgerline/console/signin"
)

func ExampleParseAccess() {
	_, err := signin.ParseAccess("access.yaml", []byte(`groups:
  - group: 6c1f2f7e-8d0f-4b1e-9a55-2f6a3f1f0b11
    role: Finance
    organizations: ["*"]
`))
	fmt.Println(err)
	// Output:
	// access.yaml:3:11: groups[0].role: "Finance" is not a role; want viewer, finance or administrator
	// access.yaml:4:21: groups[0].organizations[0]: "*" is neither a short name nor a UUID; name each organization
}

func ExampleRole_Allows() {
	fmt.Println(signin.Finance.Allows(signin.Viewer), signin.Finance.Allows(signin.Administrator))
	// Output: true false
}
