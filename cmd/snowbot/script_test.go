package main

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"snowbot/cmd/leaktest"
	"snowbot/store/postgres/postgrestest"
)

// TestMain makes "snowbot" a command for the scripts in testdata/script, and for every process the tests start: the
// same code as the binary's, with the race detector if the tests have it.
func TestMain(m *testing.M) {
	testscript.Main(withServer{m}, map[string]func(){"snowbot": func() { os.Exit(keepingPrinted(run)) }})
}

// withServer runs the tests, and ends the PostgreSQL server if one of them has started it.
type withServer struct{ tests *testing.M }

// Run implements testscript.TestingM.
func (w withServer) Run() int {
	code := w.tests.Run()
	if s := postgresServer.server; s != nil {
		keepLog(s)
		s.Stop()
		if err := postgresLogs.End(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// postgresServer is the server of all tests that do not harm it. The first of them starts it.
var postgresServer struct {
	once   sync.Once
	server *postgrestest.Server
	err    error
}

// newSchema returns the URL of an empty PostgreSQL schema of the test's own.
func newSchema(t *testing.T) string {
	t.Helper()
	p := &postgresServer
	p.once.Do(func() { p.server, p.err = postgrestest.Start(postgrestest.Options{}) })
	if p.err != nil {
		t.Fatal(p.err)
	}
	return p.server.Schema(t, t.TempDir())
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: func(e *testscript.Env) error {
		e.Setenv("SYSTEM_TMPDIR", os.TempDir()) // other users may enter it, such as the one who runs PostgreSQL
		w := leaktest.New(e.T().(testing.TB))
		w.Secret(complete()["DATA_ENCRYPTION_KEY"], "Is anybody there?")
		return lookForPrinted(e, w)
	}})
}
