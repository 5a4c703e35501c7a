package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"snowbot/cmd/leaktest"
	"snowbot/store/postgres/postgrestest"
)

// postgresLogs is searched when all tests have ended, for what people said in any of them.
var postgresLogs = leaktest.Whole("the servers of all tests")

// keepLog has a server's log searched. It is called before the server goes.
func keepLog(s *postgrestest.Server) {
	if log, err := s.Log(); err == nil {
		_, _ = postgresLogs.To(leaktest.Server).Write(log)
	}
}

// ownServer starts a server that the test may harm.
func ownServer(t *testing.T) *postgrestest.Server {
	t.Helper()
	s, err := postgrestest.Start(postgrestest.Options{Own: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keepLog(s); s.Stop() })
	return s
}

// printed runs a command that has no business with anybody's words, and returns what it printed.
func printed(t *testing.T, cmd *exec.Cmd) ([]byte, error) {
	t.Helper()
	w := leaktest.New(t)
	w.Secret(complete()["DATA_ENCRYPTION_KEY"], rigSecret, rigToken, storedWords)
	out, err := cmd.CombinedOutput()
	_, _ = w.To(leaktest.Output).Write(out)
	return out, err
}

// showsWords reports whether a command prints words because that is what it is for.
func showsWords(args []string) bool {
	line := " " + strings.Join(args, " ") + " "
	return strings.HasPrefix(line, " export ") || strings.HasPrefix(line, " dead-letters show ") && strings.Contains(line, " --body ")
}

// printedDir is where the programs of a script keep what they print, those that other programs start included.
func printedDir() string { return filepath.Join(os.TempDir(), "printed") }

// lookForPrinted has what the programs of a script print searched.
func lookForPrinted(e *testscript.Env, w *leaktest.Watch) error {
	tmp := filepath.Join(e.WorkDir, "tmp")
	e.Setenv("TMPDIR", tmp)
	e.Defer(func() {
		files, _ := filepath.Glob(filepath.Join(tmp, "printed", "*"))
		for _, name := range files {
			if text, err := os.ReadFile(name); err == nil {
				_, _ = w.To(leaktest.Output).Write(text)
			}
		}
	})
	return os.MkdirAll(filepath.Join(tmp, "printed"), 0o700)
}

// keepingPrinted runs the program, and keeps what it prints where a script looks for it.
func keepingPrinted(run func() int) int {
	kept, err := os.CreateTemp(printedDir(), "of-one-process-")
	if err != nil { // nobody looks
		return run()
	}
	var copying sync.WaitGroup
	for _, f := range []**os.File{&os.Stdout, &os.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		shown := *f
		*f = w
		copying.Go(func() { _, _ = io.Copy(io.MultiWriter(shown, kept), r) })
	}
	code := run()
	os.Stdout.Close()
	os.Stderr.Close()
	copying.Wait()
	return code
}
