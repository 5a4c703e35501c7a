package adapter

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// maxToken is the longest token looked at, in bytes. Real ones have about 1 KiB.
const maxToken = 16 << 10

// afterScheme returns what follows the scheme "Bearer" and one space, of whatever shape.
func afterScheme(authorization string) (string, *AuthError) {
	raw, ok := strings.CutPrefix(authorization, "Bearer ")
	switch {
	case authorization == "":
		return "", unauthorized("no authorization")
	case !ok:
		return "", unauthorized("wrong scheme")
	case len(raw) > maxToken:
		return "", unauthorized("token too long")
	}
	return raw, nil
}

// checkShape wants three base64url segments and nothing else.
func checkShape(raw string) *AuthError {
	segments := strings.SplitN(raw, ".", 4)
	if len(segments) != 3 {
		return unauthorized("malformed token")
	}
	for _, s := range segments {
		if s == "" {
			return unauthorized("malformed token")
		}
		for i := range len(s) {
			if !base64URL[s[i]] {
				return unauthorized("malformed token")
			}
		}
	}
	return nil
}

// base64URL holds the alphabet of RFC 4648, 5. Go's decoder would also pass over line breaks.
var base64URL = func() (set [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		set[c] = true
	}
	return set
}()

// A token is a decoded JSON Web Token whose signature has not been checked.
type token struct {
	hash      crypto.Hash
	keyID     string
	signed    string // what the signature is over
	signature []byte

	issuer     string
	audience   []string
	expires    time.Time
	notBefore  time.Time // zero when there is none
	serviceURL string
	party      string // appid or azp: whom the token was issued to, when it says
}

// parseToken decodes a token of the right shape. The JSON of both parts is read by exact member names
// and types: a member of another type is a malformed token, never an absent one.
func parseToken(raw string) (*token, *AuthError) {
	malformed := unauthorized("malformed token")
	first, last := strings.IndexByte(raw, '.'), strings.LastIndexByte(raw, '.')
	header, ok := decodeSegment(raw[:first])
	if !ok {
		return nil, malformed
	}
	t := &token{signed: raw[:last]}
	var alg, typ string
	if !header.text("alg", &alg) || !header.text("kid", &t.keyID) || !header.text("typ", &typ) {
		return nil, malformed
	}
	switch alg {
	case "RS256":
		t.hash = crypto.SHA256
	case "RS384":
		t.hash = crypto.SHA384
	case "RS512":
		t.hash = crypto.SHA512
	default:
		return nil, unauthorized("wrong algorithm")
	}
	if header["crit"] != nil { // extensions that must be understood (RFC 7515, 4.1.11); we know none
		return nil, malformed
	}
	if typ != "" && !strings.EqualFold(typ, "JWT") {
		return nil, malformed
	}
	if t.keyID == "" {
		return nil, unauthorized("no key id")
	}
	claims, ok := decodeSegment(raw[first+1 : last])
	if !ok {
		return nil, malformed
	}
	var appID, azp string
	if !claims.time("exp", &t.expires) || !claims.time("nbf", &t.notBefore) ||
		!claims.text("iss", &t.issuer) || !claims.text("serviceurl", &t.serviceURL) ||
		!claims.text("appid", &appID) || !claims.text("azp", &azp) || !claims.texts("aud", &t.audience) {
		return nil, malformed
	}
	if t.expires.IsZero() {
		return nil, unauthorized("no expiry")
	}
	if t.party = appID; t.party == "" {
		t.party = azp
	}
	sig, err := base64.RawURLEncoding.Strict().DecodeString(raw[last+1:])
	if err != nil {
		return nil, malformed
	}
	t.signature = sig
	return t, nil
}

// members are those of a JSON object, by their exact names.
type members map[string]json.RawMessage

func decodeSegment(s string) (members, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, false
	}
	var m members
	if json.Unmarshal(b, &m) != nil || m == nil {
		return nil, false
	}
	return m, true
}

// text sets s to the member when it is there. It reports false when that is no string.
func (m members) text(name string, s *string) bool {
	raw, ok := m[name]
	if !ok {
		return true
	}
	return raw[0] == '"' && json.Unmarshal(raw, s) == nil
}

// texts is text for a member that is a string or an array of strings.
func (m members) texts(name string, s *[]string) bool {
	raw, ok := m[name]
	if !ok {
		return true
	}
	if raw[0] == '[' {
		var list []*string // null is no string
		if json.Unmarshal(raw, &list) != nil {
			return false
		}
		for _, p := range list {
			if p == nil {
				return false
			}
			*s = append(*s, *p)
		}
		return true
	}
	*s = make([]string, 1)
	return m.text(name, &(*s)[0])
}

// time sets t to the member when it is there. It reports false when that is no number of seconds
// in the years we can speak of.
func (m members) time(name string, t *time.Time) bool {
	raw, ok := m[name]
	if !ok {
		return true
	}
	seconds, err := strconv.ParseFloat(string(raw), 64) // fails for anything but a number, as JSON has checked the rest
	const latest = 253402300799                         // the end of year 9999
	if err != nil || seconds < 0 || seconds > latest {
		return false
	}
	*t = time.Unix(int64(seconds), 0)
	return true
}
