package bot

import "sync"

// recentMost bounds what a recent remembers.
const recentMost = 4096

// A recent remembers values that were used of late. It has two generations: when the young one is full it becomes the old one,
// and what was not used since is forgotten. The zero value is ready.
type recent[K comparable, V any] struct {
	mu         sync.Mutex
	young, old map[K]V
}

func (r *recent[K, V]) get(key K) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok := r.young[key]; ok {
		return v, true
	}
	v, ok := r.old[key]
	if ok {
		r.insert(key, v)
	}
	return v, ok
}

func (r *recent[K, V]) put(key K, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.insert(key, v)
}

func (r *recent[K, V]) insert(key K, v V) {
	if r.young == nil || len(r.young) >= recentMost/2 {
		r.old, r.young = r.young, make(map[K]V)
	}
	r.young[key] = v
}
