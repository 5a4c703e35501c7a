package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
)

type keygenCommand struct{}

// Run prints a key. It is never stored: lose it, and what is in the database cannot be read.
func (keygenCommand) Run() error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	fmt.Println(base64.StdEncoding.EncodeToString(key))
	return nil
}
