package bot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"snowbot/adapter"
	"snowbot/store"
)

// A question of the agent is a card with something to choose. Teams leaves it as it is when the employee has chosen, and says of a
// press only which message it was in; so each such card is kept, to be shown once more with the choice in place of the buttons.

// chosen sends the answer to a question on, and has its card show it.
func (e *employeeEvent) chosen(c *change) {
	s, question, choice := c.state.Session, e.activity.ReplyToID, e.press.Choice
	switch {
	case choice == "": // from a client that does not ask for one
		c.count("ignored", "")
	case s.Answered != "" && s.Answered == question: // pressed again before the card had changed
		c.count("repeats", "choice")
	default:
		s.Answered = question
		e.relay(c, choice, true)
		if question != "" {
			c.send(store.ToTeams, kindAnswered, s.ID, body{Question: question, Text: choice})
		}
	}
}

// questionID is under what a question is kept. No link leads to it.
func questionID(conversation, activity string) string {
	sum := sha256.Sum256([]byte("snowbot question " + conversation + "\x00" + activity))
	return hex.EncodeToString(sum[:])
}

// keepQuestion keeps a question that Teams shows, for as long as its session can last. Where that fails, its buttons stay.
func (b *Bot) keepQuestion(ctx context.Context, conversation, activityID string, a *adapter.Activity) {
	if activityID == "" {
		return
	}
	raw, err := json.Marshal(a)
	if err == nil {
		err = b.store.PutFile(ctx, store.File{
			ID: questionID(conversation, activityID), Conversation: conversation, Expires: b.now().Add(b.rules.MaxSession), Data: raw,
		})
	}
	if err != nil {
		b.log.Warn("a question cannot be kept; its buttons will stay when it was answered", "conversation", conversation, "err", err)
	}
}

// toQuestion shows a question with what was chosen. One that is not known, or that is not there any more, is let be.
func (b *Bot) toQuestion(ctx context.Context, c *claim, e *sentEvent, call *call) error {
	conversation := c.lease.Lane.Conversation
	f, err := b.store.File(ctx, questionID(conversation, e.body.Question))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("read a question: %w", err)
	}
	a, err := answered(f.Data, e.body.Text)
	if err != nil {
		return errBroken
	}
	call.made = true
	call.teams++
	if err = b.teams.Update(ctx, c.state.Ref, e.body.Question, a); gone(err) {
		return nil
	}
	return err
}

// gone reports whether Teams says that there is no such message.
func gone(err error) bool {
	var ae *adapter.Error
	return errors.As(err, &ae) && ae.StatusCode == http.StatusNotFound
}

// answered is a question's activity with the chosen words in place of everything that can be chosen. What the agent wrote stays.
func answered(question []byte, choice string) (*adapter.Activity, error) {
	var a adapter.Activity
	var card struct {
		Body    elements `json:"body"`
		Actions elements `json:"actions"`
	}
	if err := json.Unmarshal(question, &a); err != nil {
		return nil, fmt.Errorf("read a question: %w", err)
	}
	if len(a.Attachments) != 1 {
		return nil, errors.New("a question is one card")
	}
	if err := json.Unmarshal(a.Attachments[0].Content, &card); err != nil {
		return nil, fmt.Errorf("read a question's card: %w", err)
	}
	titles := map[string]string{}
	for _, action := range card.Actions {
		if data, _ := action["data"].(map[string]any); data != nil {
			note(titles, data["choice"], action["title"])
		}
	}
	var shown elements
	for _, element := range card.Body {
		if kind, _ := element["type"].(string); !strings.HasPrefix(kind, "Input.") {
			shown = append(shown, element)
			continue
		}
		choices, _ := element["choices"].([]any)
		for _, choice := range choices {
			if choice, _ := choice.(map[string]any); choice != nil {
				note(titles, choice["value"], choice["title"])
			}
		}
	}
	for _, words := range chosenTitles(titles, choice) {
		block := textBlock("✓ " + words)
		block["weight"] = "bolder"
		shown = append(shown, block)
	}
	return cardActivity(a.Summary, shown, nil), nil
}

// note notes an option, of which the first counts if two have the same value.
func note(titles map[string]string, value, title any) {
	v, _ := value.(string)
	t, _ := title.(string)
	if _, known := titles[v]; v != "" && !known {
		titles[v] = firstOf(t, v)
	}
}

// chosenTitles are the words of the options whose values were chosen: one, or several with commas between them. What is no option,
// such as a date, is shown as it is.
func chosenTitles(titles map[string]string, choice string) (words []string) {
	if title, ok := titles[choice]; ok {
		return []string{title}
	}
	for rest := choice; rest != ""; {
		value := ""
		for v := range titles { // a value may have commas in it, too
			if (rest == v || strings.HasPrefix(rest, v+",")) && len(v) > len(value) {
				value = v
			}
		}
		if value == "" {
			return []string{choice}
		}
		words = append(words, titles[value])
		rest = strings.TrimPrefix(rest[len(value):], ",")
	}
	return words
}
