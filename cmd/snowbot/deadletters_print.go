package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// printLetters prints a page as a table.
func printLetters(out io.Writer, page []letterView) error {
	if len(page) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tGIVEN UP\tREASON\tTO\tKIND\tATTEMPTS\tBYTES\tCONVERSATION")
	for i := range page {
		l := &page[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", printable(l.ID), shown(l.At), orDash(l.Reason),
			orDash(l.Direction), orDash(l.Kind), l.Failed, l.BodyBytes, orDash(l.Conversation))
	}
	return w.Flush()
}

// printLetter prints everything about one.
func printLetter(out io.Writer, l *letterView) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"id", l.ID},
		{"given up", shown(l.At)},
		{"reason", l.Reason},
		{"conversation", l.Conversation},
		{"to", l.Direction},
		{"kind", l.Kind},
		{"session", l.Session},
		{"delivery", l.Delivery},
		{"accepted", shown(l.Accepted)},
		{"size", fmt.Sprintf("%d bytes", l.BodyBytes)},
		{"attempts", fmt.Sprint(l.Failed)},
	} {
		fmt.Fprintf(w, "%s\t%s\n", row[0], orDash(row[1]))
	}
	for _, a := range l.Attempts {
		again := ""
		if a.Times > 1 {
			again = fmt.Sprintf(" (%d times, the last at %s)", a.Times, shown(a.Last))
		}
		fmt.Fprintf(w, "  %s\t%s%s\n", shown(a.At), orDash(a.Outcome), again)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if l.Body == nil {
		return nil
	}
	var body bytes.Buffer
	if json.Indent(&body, l.Body, "", "  ") != nil {
		body.Reset()
		body.Write(l.Body)
	}
	for line := range bytes.Lines(body.Bytes()) {
		fmt.Fprintln(out, printable(string(bytes.TrimRight(line, "\n"))))
	}
	return nil
}
