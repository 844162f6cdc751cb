package integrations_test

import (
	"fmt"

	"github.com/ledgerline/ledgerline/integrations"
)

func ExampleParse() {
	_, err := integrations.Parse("demo.yaml", []byte(`organization: 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10
integrations:
  - id: 0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001
    name: main
    adapter: xledgre
`), integrations.Options{})
	fmt.Println(err)
	// Output: demo.yaml:5:14: integrations[0].adapter: "xledgre" (did you mean xledger?); want xledger, dataverse, businesscentral
}
