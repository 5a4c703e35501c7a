package store

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

const (
	// KeySize is the size of a key in bytes.
	KeySize = xaesKeySize
	// SealOverhead is how many bytes longer a sealed value is than its plaintext.
	SealOverhead = sealHeader + xaesTagSize

	sealVersion = 1
	keyIDSize   = 4
	sealHeader  = 1 + keyIDSize + xaesNonceSize
)

// A KeyID tells keys apart. It is derived from the key, and says nothing about it.
type KeyID [keyIDSize]byte

func (id KeyID) String() string { return fmt.Sprintf("%x", id[:]) }

// A Keyring seals what is kept, with XAES-256-GCM (C2SP). The first key seals, all open. A sealed value is
// one byte of version, the key's id, a random nonce of 24 bytes, and the ciphertext. The value's
// logical name is its associated data. A Keyring is safe for concurrent use.
type Keyring struct {
	keys []ringKey
}

type ringKey struct {
	id     KeyID
	cipher *xaes
}

// NewKeyring returns a keyring of keys of [KeySize] bytes, at least one. An error says which key is
// bad by its place in the list, and never shows it.
func NewKeyring(keys ...[]byte) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("no key given")
	}
	k := &Keyring{}
	for i, key := range keys {
		if len(key) != KeySize {
			return nil, fmt.Errorf("key %d has %d bytes, not %d", i+1, len(key), KeySize)
		}
		for j := range i {
			if bytes.Equal(key, keys[j]) {
				return nil, fmt.Errorf("key %d is the same as key %d", i+1, j+1)
			}
		}
		if bytes.Equal(key, make([]byte, KeySize)) {
			return nil, fmt.Errorf("key %d is all zeros", i+1)
		}
		x, err := newXAES(key)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte("snowbot key id"))
		k.keys = append(k.keys, ringKey{KeyID(mac.Sum(nil)), x})
	}
	return k, nil
}

// ParseKeyring reads a comma-separated list of keys in base64, standard or URL alphabet, padded or not.
func ParseKeyring(list string) (*Keyring, error) {
	if strings.TrimSpace(list) == "" {
		return nil, errors.New("no key given")
	}
	var keys [][]byte
	for i, s := range strings.Split(list, ",") {
		s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimSpace(s))
		key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
		if err != nil { // the decoder's error would tell a part of the key
			return nil, fmt.Errorf("key %d is not base64", i+1)
		}
		keys = append(keys, key)
	}
	return NewKeyring(keys...)
}

// Seal seals plaintext under the logical name with the first key.
func (k *Keyring) Seal(name string, plaintext []byte) []byte {
	return k.AppendSeal(make([]byte, 0, len(plaintext)+SealOverhead), name, plaintext)
}

// AppendSeal appends the sealed plaintext to dst, which must not overlap it.
func (k *Keyring) AppendSeal(dst []byte, name string, plaintext []byte) []byte {
	key := k.keys[0]
	dst = append(dst, sealVersion)
	dst = append(dst, key.id[:]...)
	dst = append(dst, make([]byte, xaesNonceSize)...)
	nonce := dst[len(dst)-xaesNonceSize:]
	rand.Read(nonce) // never fails
	out, err := key.cipher.seal(dst, nonce, plaintext, []byte(name))
	if err != nil {
		panic("AES with a derived key of 32 bytes: " + err.Error())
	}
	return out
}

// Open returns the plaintext of a value sealed under the same name by one of the keys, or ErrWrongKey.
func (k *Keyring) Open(name string, sealed []byte) ([]byte, error) {
	return k.AppendOpen(nil, name, sealed)
}

// AppendOpen appends the plaintext to dst, which must not overlap the sealed value.
func (k *Keyring) AppendOpen(dst []byte, name string, sealed []byte) ([]byte, error) {
	id, ok := SealedBy(sealed)
	if !ok || len(sealed) < SealOverhead {
		return nil, ErrWrongKey
	}
	nonce, ciphertext := sealed[1+keyIDSize:sealHeader], sealed[sealHeader:]
	for _, key := range k.keys {
		if key.id != id {
			continue
		}
		if plaintext, err := key.cipher.open(dst, nonce, ciphertext, []byte(name)); err == nil {
			return plaintext, nil
		}
	}
	return nil, ErrWrongKey
}

// First returns the id of the key that seals.
func (k *Keyring) First() KeyID { return k.keys[0].id }

// SealedBy returns the id of the key that sealed a value, and whether it looks like a sealed value.
func SealedBy(sealed []byte) (KeyID, bool) {
	if len(sealed) < sealHeader || sealed[0] != sealVersion {
		return KeyID{}, false
	}
	return KeyID(sealed[1 : 1+keyIDSize]), true
}
