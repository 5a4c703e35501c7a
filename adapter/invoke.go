package adapter

import (
	"errors"
	"time"
)

// Names of invokes that Teams sends. Others exist and more may come.
const (
	InvokeAdaptiveCard  = "adaptiveCard/action"
	InvokeFileConsent   = "fileConsent/invoke"
	InvokeTaskFetch     = "task/fetch"
	InvokeTaskSubmit    = "task/submit"
	InvokeMessageSubmit = "message/submitAction" // feedback on a message

	// InvokeCardAction is what InvokeName says of an invoke without a name. It never comes over the wire.
	InvokeCardAction = "cardAction"
)

// invokeBudget is the time an invoke has to be answered in. Teams shows an error to the person soon after.
const invokeBudget = 5 * time.Second

// ErrNotImplemented is what HandlerOptions.OnInvoke returns for an invoke that it does not know; it is answered 501.
var ErrNotImplemented = errors.New("invoke not implemented")

// An InvokeResponse is the answer to an invoke. A Status of 0 means 200, and a nil Body none.
type InvokeResponse struct {
	Status int
	Body   any // encoded as JSON
}

// InvokeName returns the name of an invoke activity. In Teams an invoke without a name is the press
// of a button of a card that was not an Adaptive Card: its Value is that of the button.
func InvokeName(a *Activity) string {
	if a.Name == "" {
		return InvokeCardAction
	}
	return a.Name
}
