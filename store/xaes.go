package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// Sizes of XAES-256-GCM in bytes.
const (
	xaesKeySize   = 32
	xaesNonceSize = 24
	xaesTagSize   = 16
)

// xaes is XAES-256-GCM as C2SP specifies it: the first half of a 192-bit nonce and the long key give,
// by a NIST SP 800-108 counter KDF over CMAC, a key of its own for each value, and the second half is
// that key's AES-GCM nonce. Random nonces are then safe for practically any number of values.
type xaes struct {
	block  cipher.Block // under the long key
	subkey [aes.BlockSize]byte
}

// newXAES returns the cipher for a key of 32 bytes.
func newXAES(key []byte) (*xaes, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	x := &xaes{block: block}
	block.Encrypt(x.subkey[:], x.subkey[:])
	var carry byte
	for i := aes.BlockSize - 1; i >= 0; i-- {
		next := x.subkey[i] >> 7
		x.subkey[i] = x.subkey[i]<<1 | carry
		carry = next
	}
	x.subkey[aes.BlockSize-1] ^= carry * 0x87 // the block cipher's field polynomial
	return x, nil
}

// aead returns AES-GCM under the key derived from the first half of nonce.
func (x *xaes) aead(nonce []byte) (cipher.AEAD, error) {
	var key [xaesKeySize]byte
	for i := range 2 {
		m := key[i*aes.BlockSize:][:aes.BlockSize] // encrypted in place, which saves an allocation for each
		m[0], m[1], m[2], m[3] = 0, byte(i+1), 'X', 0
		copy(m[4:], nonce[:12])
		subtle.XORBytes(m, m, x.subkey[:])
		x.block.Encrypt(m, m)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal appends the sealed plaintext to dst.
func (x *xaes) seal(dst, nonce, plaintext, data []byte) ([]byte, error) {
	gcm, err := x.aead(nonce)
	if err != nil {
		return nil, err
	}
	return gcm.Seal(dst, nonce[12:xaesNonceSize], plaintext, data), nil
}

// open appends the plaintext of what seal made to dst.
func (x *xaes) open(dst, nonce, sealed, data []byte) ([]byte, error) {
	gcm, err := x.aead(nonce)
	if err != nil {
		return nil, err
	}
	return gcm.Open(dst, nonce[12:xaesNonceSize], sealed, data)
}
