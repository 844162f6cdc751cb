package notify_test

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/notify"
)

func ExampleMessage() {
	m := notify.Message{
		ID: uuid.MustParse("7f6c2a52-0a51-4d0c-9c53-0c4f6a3a1f10"), Organization: "eksempel", Integration: "xledger-main", Export: "2026-10 --integration xledger-main", Adapter: "xledger",
		Notification: notify.Notification{
			OrganizationID: uuid.MustParse("7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10"),
			IntegrationID:  uuid.MustParse("0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001"),
			Cause:          notify.Quota80, OccurredAt: time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC),
			Facts: notify.Facts{Quota: &notify.Quota{Month: "2026-11", Used: 6000, Limit: 10000, Percent: 60}},
		},
	}
	fmt.Println(m.Subject())
	fmt.Print(m.Text())
	// Output:
	// [Ledgerline] xledger-main has used 60 % of its requests
	// xledger-main has used 60 % of its requests.
	// This month's quota may run out. Health probes stop first.
	//
	// when          2026-11-24T08:00:00Z
	// integration   xledger-main (xledger, 0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001)
	// quota         6000 of 10000 requests in 2026-11
	// organization  7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10
	// notification  7f6c2a52-0a51-4d0c-9c53-0c4f6a3a1f10
	//
	// To see more:
	//   starter quota --org eksempel
}
