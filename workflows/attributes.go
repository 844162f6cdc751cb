package workflows

import (
	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"
)

// Search attributes, all keywords. ErrorClass is set when an invocation has failed, Outcome
// when a workflow has not succeeded, the others at the start.
var (
	OrganizationID = temporal.NewSearchAttributeKeyKeyword("OrganizationId")
	IntegrationID  = temporal.NewSearchAttributeKeyKeyword("IntegrationId")
	AdapterName    = temporal.NewSearchAttributeKeyKeyword("AdapterName")
	CorrelationID  = temporal.NewSearchAttributeKeyKeyword("CorrelationId")
	ErrorClass     = temporal.NewSearchAttributeKeyKeyword("ErrorClass")

	OutcomeAttribute = temporal.NewSearchAttributeKeyKeyword("Outcome") // an [Ending]
)

// SearchAttributes are the names of all search attributes.
func SearchAttributes() []string {
	return []string{
		OrganizationID.GetName(), IntegrationID.GetName(), AdapterName.GetName(), CorrelationID.GetName(), ErrorClass.GetName(), OutcomeAttribute.GetName(),
	}
}

// Attributes are the search attributes of a workflow that serves an integration.
// adapter may be "".
func Attributes(organization, integration uuid.UUID, adapter string) temporal.SearchAttributes {
	list := []temporal.SearchAttributeUpdate{OrganizationID.ValueSet(organization.String()), IntegrationID.ValueSet(integration.String())}
	if adapter != "" {
		list = append(list, AdapterName.ValueSet(adapter))
	}
	return temporal.NewSearchAttributes(list...)
}
