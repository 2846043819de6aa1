package store

func testPurposes() Purposes {
	return Purposes{"group_email": {Wording: "group-consent-v1", Months: 12}, "sms_reminders": {Wording: "sms-consent-v2", Months: 12}}
}
