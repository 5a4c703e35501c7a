package main

import (
	"errors"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

var (
	unknownKey = regexp.MustCompile(`^(line \d+): field (.*) not found in type .*$`)
	wrongKind  = regexp.MustCompile("^(line \\d+: )cannot unmarshal !!\\w+(?: (`.*`))? into (.*)$")
)

// wanted says what a key of the configuration file takes, by the type that it is read into.
var wanted = map[string]string{
	"time.Duration": "a duration, such as 90s, 30m or 8h",
	"int":           "a number",
	"int64":         "a number",
	"bool":          "true or false",
	"string":        "text",
	"[]string":      "a list, such as [one, two]",
}

// configError says what is wrong with the file in its own words: the decoder speaks of Go types.
func configError(err error) error {
	var te *yaml.TypeError
	if !errors.As(err, &te) {
		return err
	}
	problems := make([]string, 0, len(te.Errors))
	for _, p := range te.Errors {
		if m := unknownKey.FindStringSubmatch(p); m != nil {
			p = m[1] + ": there is no key " + m[2] + " here; README.md has an example of the file"
		} else if m := wrongKind.FindStringSubmatch(p); m != nil {
			what, ok := wanted[m[3]]
			if !ok {
				what = "keys and values below the key"
				if strings.HasPrefix(m[3], "[]") {
					what = "a list"
				}
			}
			if p = m[1] + what + " is wanted here"; m[2] != "" {
				p += ", not " + m[2]
			}
		}
		problems = append(problems, p)
	}
	return errors.New(strings.Join(problems, "\n    "))
}
