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
	full := func() *state { return fullState(t) }
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

// What a copy shares with the state that is in the cache would be edited in both, and so neither be seen nor be written.
func TestStateCloneSharesNothingThatIsEdited(t *testing.T) {
	t.Parallel()
	s := fullState(t)
	shared(reflect.ValueOf(s).Elem(), reflect.ValueOf(s.clone()).Elem(), "state", func(path string) {
		if path != "state.Sent" { // which is only ever replaced
			t.Errorf("a state and its copy share %s", path)
		}
	})
}

// shared calls found with the path of everything that a and b, two states or parts of them, both refer to.
func shared(a, b reflect.Value, path string, found func(path string)) {
	switch a.Kind() {
	case reflect.Struct:
		if a.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range a.NumField() {
			shared(a.Field(i), b.Field(i), path+"."+a.Type().Field(i).Name, found)
		}
	case reflect.Pointer, reflect.Slice, reflect.Map:
		switch {
		case a.Pointer() == b.Pointer():
			found(path)
		case a.Kind() == reflect.Pointer:
			shared(a.Elem(), b.Elem(), path, found)
		case a.Kind() == reflect.Slice:
			for i := range a.Len() {
				shared(a.Index(i), b.Index(i), path, found)
			}
		}
	}
}

// fullState is a state in which everything is set.
func fullState(t *testing.T) *state {
	t.Helper()
	s := &state{}
	fill(t, reflect.ValueOf(s).Elem())
	return s
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
