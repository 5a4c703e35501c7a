package adapter

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"time"
)

// RSA moduli accepted, in bits. Microsoft's have 2048; the upper bound limits what one verification can cost.
const (
	minModulus = 2048
	maxModulus = 8192
)

// A keySet is one version of the provider's key set. It is never changed.
type keySet struct {
	keys    map[string]*verifyKey
	fetched time.Time
}

// A verifyKey is a public key, and the channels it may speak for.
type verifyKey struct {
	id           string
	alg          string // "" for any
	public       *rsa.PublicKey
	endorsements []string
	thumb        [sha256.Size]byte // of modulus and exponent
}

// verifies reports whether k signed t.
func (k *verifyKey) verifies(t *token) bool {
	if k.alg != "" && k.alg != algorithmOf(t) {
		return false
	}
	h := t.hash.New()
	h.Write([]byte(t.signed))
	return rsa.VerifyPKCS1v15(k.public, t.hash, h.Sum(nil), t.signature) == nil
}

func algorithmOf(t *token) string { return "RS" + strings.TrimPrefix(t.hash.String(), "SHA-") }

// decodeKeySet reads a JWK set (RFC 7517) and keeps the keys that can verify here: RSA, with a key
// id, for signatures. Others, and malformed ones, are passed over, so that one new kind of key does
// not take the rest with it. A set without any usable key is an error.
func decodeKeySet(body []byte) (map[string]*verifyKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("key set is not JSON")
	}
	keys := make(map[string]*verifyKey, len(set.Keys))
	for _, raw := range set.Keys {
		if k := decodeKey(raw); k != nil && keys[k.id] == nil {
			keys[k.id] = k
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("key set has no usable key")
	}
	return keys, nil
}

// decodeKey returns nil for a key that is of no use.
func decodeKey(raw json.RawMessage) *verifyKey {
	var j struct {
		Type         string   `json:"kty"`
		ID           string   `json:"kid"`
		Use          string   `json:"use"`
		Algorithm    string   `json:"alg"`
		Modulus      string   `json:"n"`
		Exponent     string   `json:"e"`
		Endorsements []string `json:"endorsements"`
	}
	if json.Unmarshal(raw, &j) != nil || j.Type != "RSA" || j.ID == "" || (j.Use != "" && j.Use != "sig") {
		return nil
	}
	n, ok := decodeNumber(j.Modulus)
	if !ok || n.BitLen() < minModulus || n.BitLen() > maxModulus || n.Bit(0) == 0 {
		return nil
	}
	e, ok := decodeNumber(j.Exponent)
	if !ok || !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 || e.Bit(0) == 0 {
		return nil
	}
	sum := binary.BigEndian.AppendUint64(n.Bytes(), e.Uint64())
	return &verifyKey{
		id:           j.ID,
		alg:          j.Algorithm,
		public:       &rsa.PublicKey{N: n, E: int(e.Int64())},
		endorsements: j.Endorsements,
		thumb:        sha256.Sum256(sum),
	}
}

// decodeNumber reads a Base64urlUInt (RFC 7518). Padding is forgiven: some providers add it.
func decodeNumber(s string) (*big.Int, bool) {
	if len(s) > 2*maxModulus/8 {
		return nil, false
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil || len(bytes.TrimLeft(b, "\x00")) == 0 {
		return nil, false
	}
	return new(big.Int).SetBytes(b), true
}
