package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
)

// blockRate is how long a goroutine has to be blocked for its stack to be taken for certain, in nanoseconds.
const blockRate = 10_000

// profile writes profiles of this process into a directory: of the processor while it runs, and of the heap and of what
// blocked when stop is called. An empty directory means none.
func profile(dir, name string) (stop func() error, err error) {
	if dir == "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	cpu, err := os.Create(filepath.Join(dir, name+".cpu.pprof"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		cpu.Close()
		return nil, err
	}
	runtime.SetBlockProfileRate(blockRate)
	return func() error {
		pprof.StopCPUProfile()
		err := cpu.Close()
		runtime.GC() // the heap profile is as of the last collection
		for _, kind := range []string{"heap", "block"} {
			err = errors.Join(err, writeProfile(kind, filepath.Join(dir, name+"."+kind+".pprof")))
		}
		return err
	}, nil
}

func writeProfile(kind, path string) error {
	f, err := os.Create(path) // the caller names the directory
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup(kind).WriteTo(f, 0), f.Close())
}
