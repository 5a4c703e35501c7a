package store

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits that every store enforces, in bytes.
const (
	// MaxString limits ids, keys and all other strings that are kept in clear.
	MaxString = 1024
	// MaxData limits each sealed value.
	MaxData = 4 << 20
	// MaxRun is where Claim cuts a run, counted over the bodies; a single larger delivery is still given.
	MaxRun = 64 << 10
)

// MaxEvents limits how many event ids one Apply takes.
const MaxEvents = 10_000

// Known reports whether d is one of the directions.
func (d Direction) Known() bool {
	switch d {
	case ToTeams, ToServiceNow, ToBot, ToTicks, Links, Held:
		return true
	}
	return false
}

// CheckID returns an error when s cannot be an id. What is the id's meaning, for the error.
func CheckID(what, s string) error {
	if s == "" {
		return fmt.Errorf("%s is empty", what)
	}
	return checkString(what, s)
}

// CheckEvents returns an error when the event ids cannot be those of one Apply. Stores call it before they
// do anything.
func CheckEvents(ids []EventID) error {
	if len(ids) > MaxEvents {
		return fmt.Errorf("%d event ids in one call: at most %d are taken", len(ids), MaxEvents)
	}
	for i := range ids {
		if err := CheckID("event id", ids[i].Name); err != nil {
			return err
		}
	}
	return nil
}

func checkString(what, s string) error {
	switch {
	case len(s) > MaxString:
		return fmt.Errorf("%s is longer than %d bytes", what, MaxString)
	case !utf8.ValidString(s):
		return fmt.Errorf("%s is not UTF-8", what)
	case strings.Contains(s, "\x00"):
		return fmt.Errorf("%s holds a NUL byte", what)
	}
	return nil
}

func checkData(what string, b []byte) error {
	if len(b) > MaxData {
		return fmt.Errorf("%s is longer than %d bytes", what, MaxData)
	}
	return nil
}

// Check returns an error when the turn of a conversation cannot be carried out. Stores call it before
// they change anything.
func (t *Turn) Check(conversation string) error {
	if t.Record == nil || t.Record.ID != conversation {
		return errors.New("a turn must not change the record's id")
	}
	errs := []error{
		checkString("status", t.Record.Status),
		checkData("record data", t.Record.Data),
		checkSet("key", t.Record.Keys),
		checkSet("person", t.Record.People),
	}
	for _, m := range t.Move {
		if !m.From.Known() || !m.To.Known() {
			errs = append(errs, fmt.Errorf("move from %q to %q: no such direction", m.From, m.To))
		}
	}
	for _, d := range t.Drop {
		if !d.Known() {
			errs = append(errs, fmt.Errorf("drop %q: no such direction", d))
		}
	}
	for i := range t.Deliver {
		o := &t.Deliver[i]
		if !o.Direction.Known() {
			errs = append(errs, fmt.Errorf("delivery to %q: no such direction", o.Direction))
		}
		errs = append(errs, CheckID("delivery id", o.ID), o.check())
	}
	for i := range t.Lines {
		errs = append(errs, checkData("line", t.Lines[i].Data))
	}
	for i := range t.Bury {
		d := &t.Bury[i].Delivery
		errs = append(errs, checkString("dead letter's id", d.ID), d.check())
	}
	return errors.Join(errs...)
}

func (d *Delivery) check() error {
	return errors.Join(checkString("delivery kind", d.Kind),
		checkString("delivery session", d.Session), checkData("delivery body", d.Body))
}

func checkSet(what string, set []string) error {
	for i, s := range set {
		if err := CheckID(what, s); err != nil {
			return err
		}
		for _, earlier := range set[:i] {
			if s == earlier {
				return fmt.Errorf("%s is declared twice", what)
			}
		}
	}
	return nil
}

// Check returns an error when the result does not fit a lease of n deliveries.
func (r *Result) Check(n int) error {
	switch {
	case r.Done < 0 || r.Done > n:
		return fmt.Errorf("%d deliveries done of a lease of %d", r.Done, n)
	case r.Next < Release || r.Next > Bury:
		return fmt.Errorf("no such result: %d", r.Next)
	}
	return nil
}

// Cut makes s fit to be kept in clear: valid UTF-8 without NUL bytes, at most [MaxString] bytes.
func Cut(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	if len(s) <= MaxString {
		return s
	}
	n := MaxString
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
