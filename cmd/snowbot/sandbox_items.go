package main

// sandboxItems is one of each rich item an agent can send, as ServiceNow spells it, by the name in the page's menu.
func sandboxItems() map[string]map[string]any {
	option := func(label, value string) map[string]any { return map[string]any{"label": label, "value": value} }
	return map[string]map[string]any{
		"picture": {
			"uiType": "OutputImage", "group": "DefaultOutputImage",
			// The page shows pictures of this host from its own files.
			"value": "https://pictures.example.com/router.svg", "altText": "Where the reset button is",
		},
		"link": {
			"uiType": "OutputLink", "group": "DefaultOutputLink", "label": "How to set up the VPN", "header": "Knowledge base",
			"type": "link", "value": map[string]any{"action": "https://example.com/kb/vpn", "target": "_blank"},
		},
		"picker": {
			"uiType": "Picker", "group": "DefaultPicker", "label": "Which device is it?", "itemType": "List",
			"options": []any{option("Laptop", "laptop"), option("Phone", "phone"), option("Monitor", "monitor")},
		},
		"choices": {
			"uiType": "Picker", "group": "DefaultPicker", "label": "Which systems are affected?", "itemType": "List", "multiSelect": true,
			"options": []any{
				option("E-mail", "email"), option("VPN", "vpn"), option("Payroll", "payroll"), option("Printer", "printer"),
				option("Something else", "other"),
			},
		},
		"card": {
			"uiType": "OutputCard", "group": "DefaultOutputCard", "templateName": "Card",
			"data": `{"title":"INC0010042","subtitle":"VPN does not connect","description":"Opened today by Mia Khan","url":"https://example.com/INC0010042",` +
				`"fields":[{"fieldLabel":"Priority","fieldValue":"2 - High"},{"fieldLabel":"State","fieldValue":"In progress"},{"fieldLabel":"Group","fieldValue":"Network"}]}`,
		},
		"table": {
			"uiType": "OutputTable", "group": "DefaultOutputTable", "label": "Your devices", "headers": []any{"Device", "Serial", "Until"},
			"data": []any{
				[]any{"Laptop 14", "L-2291", "2027-03"}, []any{"Phone", "P-8817", "2026-11"}, []any{"Monitor 27", "M-1024", "2028-01"},
			},
		},
		"html": {
			"uiType": "OutputHtml", "group": "DefaultHtml", "style": "inline",
			"value": `<p>Please try this, <b>in this order</b>:</p><ol><li>Close the VPN client</li><li>Restart the laptop</li><li>Sign in <i>again</i></li></ol>` +
				`<p>More in the <a href="https://example.com/kb/vpn">guide</a>.</p><script>alert("never shown")</script>`,
		},
		"date": {"uiType": "Date", "group": "DefaultDate", "label": "When may a technician come?"},
		"time": {"uiType": "DateTime", "group": "DefaultDate", "label": "When shall we call you?"},
	}
}
