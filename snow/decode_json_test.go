package snow_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"snowbot/snow"
)

// An element without an id is named by its content, so that its name says what was read of it.
func FuzzDecodeEventReadsWhatEncodingJSONReads(f *testing.F) {
	for _, member := range []string{
		`"a":1`, `"a":-0.10e+7,"b":[]`, `"a":{},"b":{"c":[1,[2,{"d":null}]]}`, `"a" : true , "b":[ false,null ]`, `"a":"\"\\\/\n","\u0061":2`,
		`"a":"\ud83d\ude00 \ud83d"`, "\"a\xff\":\"b\xff\"", `"a":[1,2,],"b":1`, `"a":01`, `"a":1}],"x":[{"b":2`, `"":"","":" "`, "\"a\"\t:\r\n[1 ,2\t]",
	} {
		f.Add(member)
	}
	f.Fuzz(func(t *testing.T, members string) {
		raw := `{"body":[{` + members + `}]}`
		d := json.NewDecoder(strings.NewReader(raw))
		d.UseNumber()
		var post map[string]any
		valid := d.Decode(&post) == nil && json.Valid([]byte(raw))
		e, err := snow.DecodeEvent([]byte(raw))
		if valid && err != nil {
			t.Fatalf("%s is refused: %v", raw, err)
		}
		elements, _ := post["body"].([]any)
		if !valid || len(elements) != 1 || len(e.Items) == 0 || !e.Items[0].Hashed {
			return
		}
		canonical, err := json.Marshal(elements[0])
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(canonical)
		if got, want := e.Items[0].ID, "hash:"+hex.EncodeToString(sum[:16]); got != want {
			t.Errorf("%s is read as %s, want %s, of %s", raw, got, want, canonical)
		}
	})
}
