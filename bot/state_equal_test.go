package bot

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

// A state whose difference is not seen would not be written.
func TestStateEqualSeesEveryField(t *testing.T) {
	t.Parallel()
	full := func() *state {
		s := &state{}
		fill(t, reflect.ValueOf(s).Elem())
		return s
	}
	if s := full(); !s.equal(s.clone()) || !(&state{}).equal(&state{}) {
		t.Error("a state differs from its copy")
	}
	eachField(reflect.ValueOf(&state{}).Elem(), "state", func(path string, zero func(s *state)) {
		changed := full()
		if zero(changed); changed.equal(full()) || full().equal(changed) {
			t.Errorf("states that differ in %s are equal", path)
		}
	})
}

// fill sets every field of v, and of what it holds, to something that is not zero.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(1, 0)))
		return
	case *sends: // the same each time, as it is where it was not replaced
		v.Set(reflect.ValueOf(someSends))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0))
	case reflect.String:
		v.SetString("x")
	case reflect.Int:
		v.SetInt(1)
	case reflect.Bool:
		v.SetBool(true)
	default:
		t.Fatalf("no value for a field of type %v", v.Type())
	}
}

var someSends = &sends{Last: 1}

// eachField calls f for every field of a state, and of what a state holds, with what sets it to zero.
func eachField(v reflect.Value, path string, f func(path string, zero func(s *state)), places ...int) {
	for i := range v.NumField() {
		name := path + "." + v.Type().Field(i).Name
		here := slices.Concat(places, []int{i})
		f(name, func(s *state) {
			v := reflect.ValueOf(s).Elem()
			for _, i := range here {
				switch v.Kind() {
				case reflect.Pointer:
					v = v.Elem()
				case reflect.Slice:
					v = v.Index(0)
				}
				v = v.Field(i)
			}
			v.SetZero()
		})
		inner := v.Field(i).Type()
		if inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[time.Time]() && inner != reflect.TypeFor[sends]() {
			eachField(reflect.New(inner).Elem(), name, f, here...)
		}
	}
}
