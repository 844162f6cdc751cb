package sandbox_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// EntityDefinitions shows of a column what every type has. The rest must be asked
// for by its type, as the vendor documents.
func TestEntityDefinitions(t *testing.T) {
	s := start(t)
	token := s.token()
	get := func(path string) (int, string) {
		status, body, _ := s.do("GET", "/dataverse/api/data/v9.2/"+path, token, "")
		return status, body
	}
	filter := "EntityDefinitions?$filter=EntitySetName%20eq%20'acme_lines'&$select=LogicalName&$expand="
	status, body := get(filter + "Keys($select=KeyAttributes,EntityKeyIndexStatus),Attributes($select=LogicalName,AttributeType,IsValidForCreate)")
	require.Equal(t, 200, status, body)
	require.Contains(t, body, `"KeyAttributes":["acme_key"]`)
	require.Contains(t, body, `"AttributeType":"String"`)
	require.NotContains(t, body, "MaxLength")
	require.NotContains(t, body, "Privileges", "it was not selected")

	status, body = get(filter + "Attributes($select=LogicalName,MaxLength)")
	require.Equal(t, 400, status)
	require.Contains(t, body, "Could not find a property named 'MaxLength' on type 'Microsoft.Dynamics.CRM.AttributeMetadata'")

	status, body = get("EntityDefinitions(LogicalName='acme_line')/Attributes/Microsoft.Dynamics.CRM.StringAttributeMetadata?$select=LogicalName,MaxLength")
	require.Equal(t, 200, status)
	require.Contains(t, body, `"LogicalName":"acme_key","MaxLength":32`)
	require.NotContains(t, body, "acme_amount")

	_, body = get("EntityDefinitions?$filter=EntitySetName%20eq%20'acme_line'")
	require.JSONEq(t, `{"value":[]}`, body, "that is its logical name")
	for _, e := range s.Log() {
		require.Empty(t, e.LookupKeys, "no row is asked for")
	}
}

// A right that the application user lacks is missing in every request for rows,
// and in what the vendor says of the user.
func TestDataverseRights(t *testing.T) {
	for right, method := range map[string]string{"Read": "GET", "Create": "PATCH", "Write": "PATCH"} {
		s := startWith(t, sandbox.Options{Dataverse: sandbox.Definition{Denied: []string{right}}})
		token, root := s.token(), "/dataverse/api/data/v9.2/"
		first, _, _ := s.do("PATCH", root+"acme_lines(acme_key='k')", token, `{"acme_text":"a"}`)
		status, body, _ := s.do(method, root+"acme_lines(acme_key='k')", token, `{"acme_text":"b"}`)
		require.Equal(t, 403, status, right)
		require.Equal(t, right == "Create", first == 403)
		require.Contains(t, body, "is missing prv"+right+"acme_line privilege")

		asked := url.QueryEscape(`["prvReadacme_line","prvCreateacme_line","prvWriteacme_line"]`)
		status, body, _ = s.do("GET", root+"systemusers(b0000000-0000-4000-8000-000000000002)/Microsoft.Dynamics.CRM.RetrieveUserSetOfPrivilegesByNames(PrivilegeNames=@p)?@p="+asked, token, "")
		require.Equal(t, 200, status, body)
		require.Equal(t, 2, strings.Count(body, "PrivilegeName"))
		require.NotContains(t, body, "prv"+right)
	}
}

// A company, a journal and the metadata document can be asked for by themselves.
func TestBusinessCentralIsDescribed(t *testing.T) {
	s := startWith(t, sandbox.Options{BalancingAccount: "2910"})
	token := s.token()
	get := func(path string) (int, string) {
		status, body, _ := s.do("GET", "/businesscentral/v2.0/sandbox/api/v2.0/"+path, token, "")
		return status, body
	}
	status, body := get("companies(" + sandbox.DemoCompanyID + ")?$select=id,name")
	require.Equal(t, 200, status)
	require.Contains(t, body, `"name":"Sandbox"`)
	require.NotContains(t, body, "displayName")
	status, _ = get("companies(99999999-9999-4999-8999-999999999999)")
	require.Equal(t, 404, status)
	_, body = get("companies(" + sandbox.DemoCompanyID + ")/journals(" + sandbox.DemoJournalID + ")?$select=code,balancingAccountNumber")
	require.Contains(t, body, `"balancingAccountNumber":"2910"`)
	status, _ = get("companies(" + sandbox.DemoCompanyID + ")/journals(99999999-9999-4999-8999-999999999999)")
	require.Equal(t, 404, status)
	status, _ = get("companies(" + sandbox.DemoCompanyID + ")?$select=nonsense")
	require.Equal(t, 400, status)

	status, body = get("$metadata")
	require.Equal(t, 200, status)
	require.Contains(t, body, `<Property Name="externalDocumentNumber" Type="Edm.String" MaxLength="35"`)
	require.Equal(t, strings.Count(body, "<Property "), strings.Count(body, "</Property>"))
}
