package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"snowbot/snow/snowtest"
)

// A pageCommand is what a button or a box of the page sends. Which fields count depends on the command.
type pageCommand struct {
	Employee string          `json:"employee"`
	Text     string          `json:"text"`
	ReplyTo  string          `json:"replyTo"`
	Value    json.RawMessage `json:"value"`
	Message  string          `json:"message"`
	Chat     string          `json:"chat"`
	Agent    string          `json:"agent"`
	What     string          `json:"what"`
	Mode     string          `json:"mode"`
	On       bool            `json:"on"`
	File     *pageFile       `json:"file"`
}

const (
	commandBytes = 16 << 20         // a file of ten megabytes, as base64
	commandTime  = 45 * time.Second // longer than anything the emulators wait for
)

// A pageAction carries a command out. What it returns is answered as JSON.
type pageAction func(context.Context, *pageCommand) (any, error)

// actions are the commands of the page, by the path under /api/.
func (s *sandbox) actions() map[string]pageAction {
	done := func(f func(context.Context, *pageCommand) error) pageAction {
		return func(ctx context.Context, c *pageCommand) (any, error) { return struct{}{}, f(ctx, c) }
	}
	employee := func(f func(context.Context, *sandboxEmployee, *pageCommand) error) pageAction {
		return done(func(ctx context.Context, c *pageCommand) error {
			e, err := s.employee(c.Employee)
			if err != nil {
				return err
			}
			return f(ctx, e, c)
		})
	}
	desk := func(f func(context.Context, *pageCommand) error) pageAction {
		return done(func(ctx context.Context, c *pageCommand) error {
			var refused *snowtest.PostError
			if err := f(ctx, c); !errors.As(err, &refused) {
				return err
			}
			return nil // the page shows it at the line, and on the wire
		})
	}
	return map[string]pageAction{
		"employee/open": func(ctx context.Context, c *pageCommand) (any, error) {
			key, err := s.openEmployee(ctx, c.Employee)
			return map[string]string{"employee": key}, err
		},
		"employee/say":  employee(func(ctx context.Context, e *sandboxEmployee, c *pageCommand) error { return s.say(ctx, e, c.Text) }),
		"employee/file": employee(s.sendFile),
		"employee/again": employee(func(ctx context.Context, e *sandboxEmployee, c *pageCommand) error {
			return s.again(ctx, e, c.Message)
		}),
		"employee/typing": employee(func(ctx context.Context, e *sandboxEmployee, _ *pageCommand) error {
			_, _ = e.chat.Typing(ctx, e.user) // best effort, as in Teams
			return nil
		}),
		"employee/submit": employee(func(ctx context.Context, e *sandboxEmployee, c *pageCommand) error {
			p, err := e.chat.Submit(ctx, e.user, c.ReplyTo, c.Value)
			if err == nil && !p.OK() {
				err = errors.New("the bot did not take it")
			}
			return err
		}),
		"employee/edit": employee(func(ctx context.Context, e *sandboxEmployee, c *pageCommand) error {
			_, err := e.chat.Edit(ctx, e.user, c.Message, c.Text)
			return err
		}),
		"employee/delete": employee(func(ctx context.Context, e *sandboxEmployee, c *pageCommand) error {
			_, err := e.chat.DeleteMessage(ctx, e.user, c.Message)
			return err
		}),
		"employee/install": employee(func(ctx context.Context, e *sandboxEmployee, c *pageCommand) error {
			if c.On {
				return s.install(ctx, e)
			}
			return s.uninstall(ctx, e)
		}),
		"employee/block": employee(func(_ context.Context, e *sandboxEmployee, c *pageCommand) error {
			s.block(e, c.On)
			return nil
		}),
		"agent/open": func(_ context.Context, c *pageCommand) (any, error) {
			name, err := s.openAgent(c.Agent)
			return map[string]string{"agent": name}, err
		},
		"agent/accept": desk(func(ctx context.Context, c *pageCommand) error {
			name, err := s.openAgent(c.Agent)
			if err != nil || c.Agent == "" {
				return errNoAgent
			}
			return s.now.Accept(ctx, c.Chat, name)
		}),
		"agent/say": desk(func(ctx context.Context, c *pageCommand) error {
			_, err := s.now.Say(ctx, c.Chat, c.Text)
			return err
		}),
		"agent/file": desk(func(ctx context.Context, c *pageCommand) error {
			if c.File == nil {
				return errNoFile
			}
			_, err := s.now.SendFile(ctx, c.Chat, c.File.Name, c.File.Type, c.File.Data)
			return err
		}),
		"agent/typing": desk(func(ctx context.Context, c *pageCommand) error { return s.now.Typing(ctx, c.Chat, c.On) }),
		"agent/item": desk(func(ctx context.Context, c *pageCommand) error {
			it := sandboxItems()[c.What]
			if it == nil {
				return errors.New("there is no such item")
			}
			_, err := s.now.SendItem(ctx, c.Chat, it)
			return err
		}),
		"agent/transfer": desk(func(ctx context.Context, c *pageCommand) error {
			name, err := s.openAgent(c.Agent)
			if err != nil || c.Agent == "" {
				return errNoAgent
			}
			return s.now.Transfer(ctx, c.Chat, name)
		}),
		"agent/end":  desk(func(ctx context.Context, c *pageCommand) error { return s.now.End(ctx, c.Chat, c.Text) }),
		"agent/wait": desk(func(ctx context.Context, c *pageCommand) error { return s.now.ReportWait(ctx, c.Chat, c.Text) }),
		"agent/fail": desk(func(ctx context.Context, c *pageCommand) error {
			return s.now.FailChat(ctx, c.Chat, "Something went wrong on our side.", "the conversation could not go on")
		}),
		"dialect": done(func(_ context.Context, c *pageCommand) error {
			d := snowtest.Dialect(c.Mode)
			if err := s.now.SetDialect(d); err != nil {
				return err
			}
			s.mark(func() { s.dialect = d })
			return nil
		}),
		"break":   done(func(_ context.Context, c *pageCommand) error { return s.breakThing(c.What, c.Mode) }),
		"repair":  done(func(context.Context, *pageCommand) error { return s.repair() }),
		"service": done(func(ctx context.Context, c *pageCommand) error { return s.service(ctx, c.What) }),
	}
}

func (s *sandbox) service(ctx context.Context, what string) error {
	if what != childKill && what != childStart {
		return errors.New("the service can be killed and started")
	}
	return s.child.order(ctx, what)
}

// act answers one command.
func (s *sandbox) act(do pageAction) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), commandTime)
		defer cancel()
		var c pageCommand
		raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, commandBytes))
		if err != nil {
			answerJSON(w, http.StatusRequestEntityTooLarge, map[string]string{"error": "that is too long"})
			return
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			answerJSON(w, http.StatusBadRequest, map[string]string{"error": "the command is no JSON object"})
			return
		}
		result, err := do(ctx, &c)
		if err != nil {
			answerJSON(w, http.StatusConflict, map[string]string{"error": err.Error()})
			return
		}
		answerJSON(w, http.StatusOK, result)
	}
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who asked may be gone
}
