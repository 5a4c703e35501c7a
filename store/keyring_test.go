package store_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"snowbot/store"
)

func ring(t testing.TB, list ...byte) *store.Keyring {
	t.Helper()
	var keys [][]byte
	for _, b := range list {
		keys = append(keys, bytes.Repeat([]byte{b}, store.KeySize))
	}
	k, err := store.NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeyringOpensWhatItSealed(t *testing.T) {
	t.Parallel()
	k := ring(t, 1)
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.String().Draw(r, "name")
		plain := rapid.SliceOf(rapid.Byte()).Draw(r, "plain")
		sealed := k.Seal(name, plain)
		if len(sealed) != len(plain)+store.SealOverhead {
			r.Fatalf("sealed %d bytes into %d", len(plain), len(sealed))
		}
		got, err := k.Open(name, sealed)
		if err != nil || !bytes.Equal(got, plain) {
			r.Fatalf("Open = %q, %v, want %q", got, err, plain)
		}
		i := rapid.IntRange(0, len(sealed)-1).Draw(r, "damaged byte")
		sealed[i] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
		if _, err := k.Open(name, sealed); !errors.Is(err, store.ErrWrongKey) {
			r.Fatalf("Open of a damaged value: %v", err)
		}
	})
}

func TestKeyringBindsValuesToTheirNames(t *testing.T) {
	t.Parallel()
	k := ring(t, 1)
	sealed := k.Seal(store.DeliveryName("c1", "d1"), []byte("words"))
	for _, name := range []string{
		store.DeliveryName("c1", "d2"), store.DeliveryName("c2", "d1"), store.DeliveryName("c1\x00d1", ""),
		store.RecordName("c1"), store.LineName("c1", 1), "",
	} {
		if _, err := k.Open(name, sealed); !errors.Is(err, store.ErrWrongKey) {
			t.Errorf("Open as %q: %v, want ErrWrongKey", name, err)
		}
	}
}

func TestKeyringRotates(t *testing.T) {
	t.Parallel()
	old, both, fresh := ring(t, 1), ring(t, 2, 1), ring(t, 2)
	value := old.Seal("n", []byte("words"))
	if got, err := both.Open("n", value); err != nil || string(got) != "words" {
		t.Errorf("Open with the old key second = %q, %v", got, err)
	}
	if _, err := fresh.Open("n", value); !errors.Is(err, store.ErrWrongKey) {
		t.Errorf("Open without the old key: %v, want ErrWrongKey", err)
	}
	if _, err := old.Open("n", both.Seal("n", nil)); !errors.Is(err, store.ErrWrongKey) {
		t.Errorf("the first key does not seal: %v", err)
	}
	if id, ok := store.SealedBy(value); !ok || id != old.First() || id == both.First() {
		t.Errorf("SealedBy = %v, %t, want %v", id, ok, old.First())
	}
}

func TestSealingTwiceDiffers(t *testing.T) {
	t.Parallel()
	k := ring(t, 1)
	if bytes.Equal(k.Seal("n", []byte("words")), k.Seal("n", []byte("words"))) {
		t.Error("the same value sealed twice looks the same")
	}
}

func TestParseKeyring(t *testing.T) {
	t.Parallel()
	key := func(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, store.KeySize)) }
	url := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, store.KeySize))
	for _, good := range []string{key(1), key(1) + "," + key(2), " " + key(1) + " ,\n" + key(2) + "\n", url, strings.TrimRight(key(1), "=")} {
		if _, err := store.ParseKeyring(good); err != nil {
			t.Errorf("ParseKeyring: %v", err)
		}
	}
	short := base64.StdEncoding.EncodeToString(make([]byte, 16))
	for _, bad := range []struct{ name, list, want string }{
		{"nothing", "", "no key given"},
		{"spaces", "  ", "no key given"},
		{"not base64", key(1) + ",secret!", "key 2 is not base64"},
		{"short", key(1) + "," + key(2) + "," + short, "key 3 has 16 bytes, not 32"},
		{"empty member", key(1) + ",", "key 2 has 0 bytes, not 32"},
		{"twice", key(1) + "," + key(1), "key 2 is the same as key 1"},
		{"zeros", key(0), "key 1 is all zeros"},
	} {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			_, err := store.ParseKeyring(bad.list)
			if err == nil || err.Error() != bad.want {
				t.Errorf("ParseKeyring: %v, want %s", err, bad.want)
			}
		})
	}
}

func FuzzKeyringOpen(f *testing.F) {
	k := ring(f, 1)
	sealed := k.Seal("n", []byte("words"))
	for n := range sealed {
		f.Add(sealed[:n])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := k.Open("n", b); err == nil && string(got) != "words" {
			t.Errorf("opened %x as %q", b, got)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	k := ring(b, 1)
	plain := make([]byte, 1024)
	for b.Loop() {
		k.Seal("record", plain)
	}
}
