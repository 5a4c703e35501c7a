package store

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The vectors are those of the C2SP specification of XAES-256-GCM.
func TestXAESMatchesTheSpecification(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		key        byte
		data, want string
	}{
		{"most significant bit clear", 1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{"most significant bit set", 3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x, err := newXAES(bytes.Repeat([]byte{tt.key}, xaesKeySize))
			if err != nil {
				t.Fatal(err)
			}
			nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
			sealed, err := x.seal(nil, nonce, []byte("XAES-256-GCM"), []byte(tt.data))
			if got := hex.EncodeToString(sealed); got != tt.want || err != nil {
				t.Errorf("seal = %s, %v, want %s", got, err, tt.want)
			}
			plain, err := x.open(nil, nonce, sealed, []byte(tt.data))
			if string(plain) != "XAES-256-GCM" || err != nil {
				t.Errorf("open = %q, %v", plain, err)
			}
		})
	}
}
