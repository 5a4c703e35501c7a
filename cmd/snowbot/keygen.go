package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
)

type keygenCommand struct{}

// Run prints a key. It is never stored: lose it, and what is in the database cannot be read.
func (keygenCommand) Run() error { //nolint:unparam // the form of every command
	fmt.Println(newDataKey())
	return nil
}

// newDataKey is a random DATA_ENCRYPTION_KEY.
func newDataKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return base64.StdEncoding.EncodeToString(key)
}
