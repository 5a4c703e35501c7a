// Command tally says what a test run searched for secrets, from the file that LEAKTEST_REPORT named, and fails if one was found or if
// too little was searched.
package main

import (
	"fmt"
	"os"

	"snowbot/cmd/leaktest"
)

func main() {
	if err := tally(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func tally(path string) error {
	report, err := os.Open(path) // the caller's own
	if err != nil {
		return err
	}
	defer report.Close()
	return leaktest.Reported(report, os.Stdout)
}
