package snow

import (
	"maps"
	"slices"
	"strings"
)

// decodeInput reads a control that asks for something, and reports whether uiType is one.
func (it *Item) decodeInput(o object, uiType string) bool {
	it.Kind = KindInput
	switch strings.ToLower(uiType) {
	case "inputtext":
		it.Input = "text"
		if mask := scalar(o["maskType"]); strings.EqualFold(mask, "SECURE") || strings.EqualFold(mask, "SENSITIVE") {
			it.Input = "secret"
		}
	case "fileupload":
		it.Input = "file"
		if t := scalar(o["itemType"]); strings.EqualFold(t, "image") || strings.EqualFold(t, "picture") {
			it.Input = "picture"
		}
	case "picture":
		it.Input = "picture"
	case "date", "time", "datetime":
		it.Input = strings.ToLower(uiType)
	case "boolean":
		it.Input = "boolean"
		if it.Options = optionsOf(o["options"]); len(it.Options) == 0 {
			it.Options = []Option{{Label: "Yes"}, {Label: "No"}}
		}
	case "picker", "topicpickercontrol":
		it.Kind, it.Multi = KindPicker, isTrue(o["multiSelect"])
		if it.Options = optionsOf(o["options"]); len(it.Options) == 0 {
			it.Kind, it.Input = KindInput, "text" // nothing to choose from: an answer in words is still possible
		}
	default:
		it.Kind = ""
		return false
	}
	it.Text = firstText(o, "label", "promptMsg", "value", "message")
	if strings.EqualFold(uiType, "TopicPickerControl") {
		it.Text = firstText(o, "promptMsg", "label", "value", "message")
	}
	return true
}

// optionsOf reads the options of a picker: an array, one option, an object of labels by value, or the JSON text of any
// of these. Whether ServiceNow calls one enabled says nothing, and is not looked at.
func optionsOf(v any) []Option {
	v = unwrap(v)
	if o, ok := v.(object); ok && !isOption(o) {
		return optionsByValue(o)
	}
	var options []Option
	for _, e := range list(v) {
		option, ok := optionOf(unwrap(e))
		if ok {
			options = append(options, option)
		}
	}
	return options
}

func isOption(o object) bool {
	return scalar(o["label"]) != "" || scalar(o["value"]) != ""
}

// optionsByValue reads an object whose keys are the values. An object has no order, so theirs is that of the keys.
func optionsByValue(o object) []Option {
	var options []Option
	for _, k := range sortedKeys(o) {
		option, ok := optionOf(o[k])
		if !ok {
			option.Label = k
		}
		if option.Value == "" {
			option.Value = k
		}
		options = append(options, option)
	}
	return options
}

func optionOf(v any) (Option, bool) {
	o, ok := v.(object)
	if !ok {
		label := scalar(v)
		return Option{Label: label}, strings.TrimSpace(label) != ""
	}
	option := Option{
		Label:       cellOf(o, "label", "text", "title", "value"),
		Value:       scalar(o["value"]),
		Description: firstText(o, "description"),
		ImageURL:    firstAddress(o, "attachment", "image", "imageUrl"),
	}
	return option, option.Label != ""
}

// cellOf is the first of keys that has text.
func cellOf(o object, keys ...string) string {
	for _, k := range keys {
		if s := cell(o[k], maxNesting); strings.TrimSpace(s) != "" {
			return s
		}
	}
	return ""
}

func sortedKeys(o object) []string { return slices.Sorted(maps.Keys(o)) }
