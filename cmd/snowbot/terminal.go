package main

import (
	"encoding/json"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
)

// isTerminal reports whether f is a terminal, as far as a progress bar cares.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progressBar is a bar on the terminal that disappears at the end, and an invisible one where there is no terminal. A negative n is
// not known: the bar only turns.
func progressBar(n int, what string, more ...progressbar.Option) *progressbar.ProgressBar {
	return progressbar.NewOptions(n, append([]progressbar.Option{
		progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetVisibility(isTerminal(os.Stderr)), progressbar.OptionSetDescription(what),
		progressbar.OptionThrottle(100 * time.Millisecond), progressbar.OptionClearOnFinish(),
	}, more...)...)
}

// printable makes foreign text fit for a terminal: control characters and marks of direction are replaced.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\uFFFD'
		}
		return r
	}, s)
}

// shown is a time as commands print it.
func shown(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// orDash stands in for what there is none of.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return printable(s)
}

// printLines prints one JSON object a line.
func printLines[T any](page []T) error {
	e := json.NewEncoder(os.Stdout)
	for i := range page {
		if err := e.Encode(&page[i]); err != nil {
			return err
		}
	}
	return nil
}
