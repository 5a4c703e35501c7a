package adapter

import (
	"errors"
	"time"
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
