package adapter

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/infracloudio/msbotbuilder-go/core/activity"
	"github.com/infracloudio/msbotbuilder-go/schema"
)

// HandlerBot runs a handler written for msbotbuilder-go, unchanged, as a bot: a function from an
// activity to what the bot answers. Messages, conversation updates and invokes go to the handler's
// three methods; for other types, for a method that [activity.HandlerFuncs] has no function for, and
// for an empty answer there is nothing to say, and the result is empty.
//
// The handler runs outside of any commit and may take its time. It may run twice for one activity,
// after a crash or when its answer could not be kept, so what it does elsewhere should bear that.
// Its answer is for the conversation that the activity came from. What it answers to an invoke is a message too;
// the invoke itself is answered by the HTTP handler.
//
// The handler sees the activity as far as the library's schema can hold it: a Value or ChannelData
// that is not an object, and mentions, are left out. A panic becomes an error, without the words it may hold.
func HandlerBot(h activity.Handler) func(ctx context.Context, a *Activity) ([]*Activity, error) {
	return func(ctx context.Context, a *Activity) ([]*Activity, error) {
		if err := ctx.Err(); err != nil { // the handler cannot be told to stop later
			return nil, err
		}
		in, err := toSchema(a)
		if err != nil {
			return nil, err
		}
		out, err := runHandler(h, in)
		if err != nil {
			return nil, err
		}
		answer, err := fromSchema(out)
		if err != nil || answer == nil {
			return nil, err
		}
		return []*Activity{answer}, nil
	}
}

// errNoFunction is how activity.HandlerFuncs says that it has no function for a type. The library has no value to compare with.
const errNoFunction = "No handler found for this activity type"

// runHandler calls the method of h for the type of in. The answer is empty when there is none.
func runHandler(h activity.Handler, in schema.Activity) (out schema.Activity, err error) {
	if h == nil {
		return schema.Activity{}, errors.New("bot handler: there is none")
	}
	defer func() {
		if p := recover(); p != nil {
			out, err = schema.Activity{}, fmt.Errorf("bot handler: %w", panicked(p))
		}
	}()
	switch in.Type {
	case schema.Message, schema.ConversationUpdate, schema.Invoke:
	default:
		return schema.Activity{}, nil
	}
	out, err = activity.PrepareActivityContext(h, &activity.TurnContext{Activity: in})
	switch {
	case err == nil:
		return out, nil
	case strings.Contains(err.Error(), errNoFunction):
		return schema.Activity{}, nil
	}
	return schema.Activity{}, fmt.Errorf("bot handler: %w", err)
}
