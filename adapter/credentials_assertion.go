package adapter

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"
)

// assertionLife is how long an assertion is good for; it is used at once.
const assertionLife = 10 * time.Minute

// An assertionSigner signs client assertions with the key of a certificate.
type assertionSigner struct {
	key    *rsa.PrivateKey
	header string // encoded; it names the certificate
}

func newAssertionSigner(pem []byte) (*assertionSigner, error) {
	pair, err := tls.X509KeyPair(pem, pem)
	if err != nil {
		// The cause may quote the names of what it found in the file, and nobody knows what that is.
		return nil, errors.New("the certificate does not hold a certificate and its key as PEM")
	}
	key, ok := pair.PrivateKey.(*rsa.PrivateKey)
	if !ok || key.N.BitLen() < 2048 {
		return nil, errors.New("the key of the certificate is not an RSA key of at least 2048 bits")
	}
	sum := sha256.Sum256(pair.Certificate[0])
	chain := make([]string, len(pair.Certificate))
	for i, der := range pair.Certificate {
		chain[i] = base64.StdEncoding.EncodeToString(der)
	}
	header, err := json.Marshal(map[string]any{
		"alg":      "PS256",
		"typ":      "JWT",
		"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:]),
		"x5c":      chain,
	})
	if err != nil {
		return nil, err
	}
	return &assertionSigner{key: key, header: base64.RawURLEncoding.EncodeToString(header)}, nil
}

// sign returns the assertion (RFC 7523) by which the app says to endpoint who it is.
func (s *assertionSigner) sign(appID, endpoint string, now time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{
		"aud": endpoint,
		"iss": appID,
		"sub": appID,
		"jti": rand.Text(),
		"nbf": now.Add(-time.Minute).Unix(), // clocks differ
		"exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed := s.header + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPSS(rand.Reader, s.key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
