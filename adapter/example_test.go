package adapter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"snowbot/adapter"
	"snowbot/adapter/adaptertest"

	"github.com/infracloudio/msbotbuilder-go/core/activity"
	"github.com/infracloudio/msbotbuilder-go/schema"
)

// An echo bot. Microsoft Teams is emulated here; a bot in production leaves out MetadataURL, TokenURL and
// AllowLoopback, and is served where its registration says.
func Example() {
	teams, err := adaptertest.New(adaptertest.Options{})
	if err != nil {
		panic(err)
	}
	defer teams.Close()

	// Who may call us, and who we are.
	verifier, err := adapter.NewVerifier(adapter.VerifierOptions{AppID: teams.AppID(), MetadataURL: teams.MetadataURL()})
	if err != nil {
		panic(err)
	}
	tokens, err := adapter.NewTokenSource(adapter.Credentials{
		AppID: teams.AppID(), TenantID: teams.TenantID(), Password: teams.AppPassword(), TokenURL: teams.TokenURL(),
	})
	if err != nil {
		panic(err)
	}
	hosts := adapter.HostPolicy{AllowLoopback: true}
	connector, err := adapter.NewConnector(adapter.ConnectorOptions{Tokens: tokens, Hosts: hosts})
	if err != nil {
		panic(err)
	}

	// What we do. A bot that must not lose a message writes it down here and answers later.
	bot, err := adapter.NewHandler(adapter.HandlerOptions{
		Verifier: verifier, AppID: teams.AppID(), Tenants: []string{teams.TenantID()}, Hosts: hosts,
		OnActivity: func(ctx context.Context, a *adapter.Activity) error {
			if a.Type != adapter.TypeMessage {
				return nil
			}
			_, err := connector.Send(ctx, a.Reference(), &adapter.Activity{Text: "You said: " + a.PlainText()})
			return err
		},
	})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(bot)
	defer server.Close()

	// Somebody writes to the bot.
	teams.SetBot(server.URL)
	ada := teams.AddUser(adaptertest.User{Name: "Ada"})
	chat := teams.Personal(ada)
	if _, err := chat.Say(context.Background(), ada, "hello"); err != nil {
		panic(err)
	}
	for _, m := range chat.Messages() {
		fmt.Println(m.FromName+":", m.Text)
	}
	// Output:
	// Ada: hello
	// Help desk: You said: hello
}

// A reference is kept, as JSON if you like, to speak to somebody later without being asked.
func ExampleReference() {
	a, err := adapter.DecodeActivity([]byte(`{
		"type": "message", "id": "1700000000001", "serviceUrl": "https://smba.trafficmanager.net/emea/", "channelId": "msteams",
		"from": {"id": "29:ada", "name": "Ada"}, "recipient": {"id": "28:bot"},
		"conversation": {"id": "19:general@thread.tacv2", "conversationType": "channel", "tenantId": "contoso"}}`))
	if err != nil {
		panic(err)
	}
	kept, err := json.MarshalIndent(a.Reference(), "", "  ")
	if err != nil {
		panic(err)
	}
	fmt.Println(string(kept)) // the thread under that post, to be given to Connector.Send
	// Output:
	// {
	//   "serviceUrl": "https://smba.trafficmanager.net/emea/",
	//   "channelId": "msteams",
	//   "conversationId": "19:general@thread.tacv2;messageid=1700000000001",
	//   "conversationType": "channel",
	//   "tenantId": "contoso",
	//   "userId": "29:ada",
	//   "userName": "Ada",
	//   "botId": "28:bot"
	// }
}

// Mentions of the bot are no words of the person.
func ExampleActivity_PlainText() {
	a, err := adapter.DecodeActivity([]byte(`{
		"type": "message", "text": "<at>Help desk</at> my laptop is broken", "recipient": {"id": "28:bot"},
		"entities": [{"type": "mention", "text": "<at>Help desk</at>", "mentioned": {"id": "28:bot"}}]}`))
	if err != nil {
		panic(err)
	}
	fmt.Println(a.PlainText())
	// Output: my laptop is broken
}

// What a failed send leaves to be done depends on whether it may have had an effect.
func ExampleError() {
	describe := func(err error) string {
		var e *adapter.Error
		switch {
		case err == nil:
			return "sent"
		case !errors.As(err, &e):
			return "not of the Connector"
		case e.StatusCode == http.StatusTooManyRequests:
			return fmt.Sprint("not sent; try again in ", e.RetryAfter)
		case e.StatusCode == 0 && !e.Written:
			return "not sent; try again"
		case e.StatusCode == 0 || e.StatusCode >= 500:
			return "perhaps sent; a repeat may show twice"
		}
		return "refused for good: " + e.Code
	}
	fmt.Println(describe(&adapter.Error{Op: "send", StatusCode: 429, RetryAfter: 3e9}))
	fmt.Println(describe(&adapter.Error{Op: "send", Written: true, Err: context.DeadlineExceeded}))
	fmt.Println(describe(&adapter.Error{Op: "send", StatusCode: 403, Code: "BotNotInConversationRoster"}))
	// Output:
	// not sent; try again in 3s
	// perhaps sent; a repeat may show twice
	// refused for good: BotNotInConversationRoster
}

// A handler written for msbotbuilder-go runs as it is, on our side of the wire.
func ExampleHandlerBot() {
	handler := activity.HandlerFuncs{
		OnMessageFunc: func(turn *activity.TurnContext) (schema.Activity, error) {
			return turn.SendActivity(activity.MsgOptionText("Echo: " + turn.Activity.Text))
		},
	}
	bot := adapter.HandlerBot(handler)
	answers, err := bot(context.Background(), &adapter.Activity{Type: adapter.TypeMessage, Text: "hello"})
	if err != nil {
		panic(err)
	}
	for _, a := range answers {
		fmt.Println(a.Text)
	}
	// Output: Echo: hello
}

// A program written against msbotbuilder-go keeps its handler and its calls; only the constructor changes.
func ExampleAdapter() {
	teams, err := adaptertest.New(adaptertest.Options{})
	if err != nil {
		panic(err)
	}
	defer teams.Close()
	verifier, connector := emulated(teams) // made as in the example of the package

	ad, err := adapter.NewAdapter(adapter.AdapterOptions{
		Verifier: verifier, Connector: connector, AppID: teams.AppID(), Tenants: []string{teams.TenantID()},
		Hosts: adapter.HostPolicy{AllowLoopback: true},
	})
	if err != nil {
		panic(err)
	}
	handler := activity.HandlerFuncs{
		OnMessageFunc: func(turn *activity.TurnContext) (schema.Activity, error) {
			return turn.SendActivity(activity.MsgOptionText("Echo: " + turn.Activity.Text))
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, err := ad.ParseRequest(r.Context(), r)
		if err == nil {
			err = ad.ProcessActivity(r.Context(), a, handler)
		}
		if err != nil {
			w.WriteHeader(adapter.StatusOf(err))
		}
	}))
	defer server.Close()

	teams.SetBot(server.URL)
	ada := teams.AddUser(adaptertest.User{Name: "Ada"})
	chat := teams.Personal(ada)
	if _, err := chat.Say(context.Background(), ada, "hello"); err != nil {
		panic(err)
	}
	for _, m := range chat.Messages() {
		fmt.Println(m.FromName+":", m.Text)
	}
	// Output:
	// Ada: hello
	// Help desk: Echo: hello
}

// emulated returns the verifier and the connector of a bot in an emulated Teams.
func emulated(teams *adaptertest.Channel) (*adapter.Verifier, *adapter.Connector) {
	verifier, err := adapter.NewVerifier(adapter.VerifierOptions{AppID: teams.AppID(), MetadataURL: teams.MetadataURL()})
	if err != nil {
		panic(err)
	}
	tokens, err := adapter.NewTokenSource(adapter.Credentials{
		AppID: teams.AppID(), TenantID: teams.TenantID(), Password: teams.AppPassword(), TokenURL: teams.TokenURL(),
	})
	if err != nil {
		panic(err)
	}
	connector, err := adapter.NewConnector(adapter.ConnectorOptions{Tokens: tokens, Hosts: adapter.HostPolicy{AllowLoopback: true}})
	if err != nil {
		panic(err)
	}
	return verifier, connector
}
