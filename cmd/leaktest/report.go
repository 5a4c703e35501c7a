package leaktest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// reportFile is the variable that names a file to which every [Watch] of a test run appends what it has searched.
const reportFile = "LEAKTEST_REPORT"

// A line is what one Watch searched.
type line struct {
	Package string       `json:"package"`
	Test    string       `json:"test"`
	Bytes   map[Kind]int `json:"bytes"`
	Secrets int          `json:"secrets"` // that were searched for
	Leaks   int          `json:"leaks"`   // that were found
}

func (w *Watch) report(leaks int) error {
	path := os.Getenv(reportFile)
	if path == "" {
		return nil
	}
	w.mu.Lock()
	raw, err := json.Marshal(line{
		Package: strings.TrimSuffix(filepath.Base(os.Args[0]), ".test"), Test: w.name, Bytes: w.sizes, Secrets: len(w.secrets), Leaks: leaks,
	})
	w.mu.Unlock()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n')) // at once, since other packages write as well
	return errors.Join(err, f.Close())
}

// searched is what a test run searches at least, for each package that has tests of it.
var searched = map[string][]Kind{
	"adapter":  {Log, Refusal},
	"bot":      {Log, Metrics},
	"history":  {Log, Metrics},
	"snow":     {Log, Refusal},
	"bolt":     {Refusal}, // its log has a line only when something goes wrong
	"postgres": {Log, Refusal, Server},
	"snowbot":  {Log, Metrics, Refusal, Output, Server},
}

// Reported adds up the report of a test run, in out. It is an error if a secret was found, or if one of the packages did not search
// what it has to: then what was not found means nothing.
func Reported(report io.Reader, out io.Writer) error {
	sums, tests, secrets, leaks := map[string]map[Kind]int{}, map[string]int{}, map[string]int{}, 0
	var errs []error
	for d := json.NewDecoder(report); ; {
		var l line
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if l.Package == "leaktest" { // whose own tests plant what is to be found
			continue
		}
		if sums[l.Package] == nil {
			sums[l.Package] = map[Kind]int{}
		}
		for k, n := range l.Bytes {
			sums[l.Package][k] += n
		}
		tests[l.Package]++
		secrets[l.Package] += l.Secrets
		if leaks += l.Leaks; l.Leaks > 0 {
			errs = append(errs, fmt.Errorf("%s, %s: %d secrets were written", l.Package, l.Test, l.Leaks))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(searched)) {
		fmt.Fprintf(out, "%-9s %5d tests, %6d secrets looked for in", p, tests[p], secrets[p])
		for _, k := range searched[p] {
			n := sums[p][k]
			fmt.Fprintf(out, " %d kB %s", (n+1023)>>10, k)
			if n == 0 {
				errs = append(errs, fmt.Errorf("%s: nothing was searched of kind %s", p, k))
			}
		}
		fmt.Fprintln(out)
		if secrets[p] == 0 {
			errs = append(errs, fmt.Errorf("%s: no secret was looked for", p))
		}
	}
	fmt.Fprintf(out, "%d secrets found\n", leaks)
	return errors.Join(errs...)
}
