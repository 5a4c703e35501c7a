package bot

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"
)

// contain runs f, and reports whether it came to its end. A panic in it is a mistake of ours in the handling of one message, and no
// reason to leave all others without a service: it is logged, without its value, which may hold words of a person, and counted.
func (b *Bot) contain(what string, f func()) (ok bool) {
	defer func() {
		if ok {
			return
		}
		_ = recover()
		b.log.Error("failed in an unforeseen way; going on", slog.String("what", what), slog.String("stack", string(debug.Stack())))
		b.metrics.add([]count{{"panics", ""}})
	}()
	f()
	return true
}

// rounds runs f again and again until ctx ends or f says that the store is lost. After a panic it rests for a second.
func (b *Bot) rounds(ctx context.Context, what string, f func() error) (err error) {
	for ctx.Err() == nil && err == nil {
		if !b.contain(what, func() { err = f() }) {
			pause(ctx, time.Second)
		}
	}
	return err
}
