package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// judges is where the programs and the packages of Node are.
func judges(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("judges")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal("the packages of the judges are not installed; run: npm ci --prefix cmd/snowbot/judges")
	}
	return dir
}

// nodeProgram is Node: the one that came with the packages, so that all judge alike, or else this machine's.
func nodeProgram(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(judges(t), "node_modules/node-*/bin/node")) // old npm makes no link to it
	if err != nil {
		t.Fatal(err)
	}
	return append(found, "node")[0]
}

// node runs a program of the judges to its end. Both its input and its output have one JSON value a line.
func node[A any](t *testing.T, program string, env []string, input ...any) []A {
	t.Helper()
	var in, out, complaints bytes.Buffer
	for _, v := range input {
		if err := json.NewEncoder(&in).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), nodeProgram(t), filepath.Join(judges(t), program)) // our own
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, complaints.String())
	}
	var answers []A
	for line := range strings.Lines(out.String()) {
		var a A
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%s answers %q: %v", program, line, err)
		}
		answers = append(answers, a)
	}
	return answers
}
