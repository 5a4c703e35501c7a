package bot_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"time"

	"snowbot/adapter"
	"snowbot/adapter/adaptertest"
	"snowbot/bot"
	"snowbot/snow"
	"snowbot/snow/snowtest"
	"snowbot/store"
	"snowbot/store/bolt"
)

// A program of one's own, with both platforms emulated. In production the addresses and credentials of the emulators are left
// out or replaced by one's own, AllowLoopback is false, and the two handlers are served behind TLS.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	const secret = "what ServiceNow says to be let in"
	teams, instance := platforms()
	defer teams.Close()
	defer instance.Close()

	// What is kept, in one file.
	dir := must(os.MkdirTemp("", "snowbot"))
	defer os.RemoveAll(dir)
	keys := must(store.ParseKeyring("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")) // `snowbot keygen` makes one
	kept := must(bolt.Open(bolt.Options{Path: filepath.Join(dir, "snowbot.db"), Keys: keys}))
	defer kept.Close()

	// The way out, to both platforms.
	hosts := adapter.HostPolicy{AllowLoopback: true}
	tokens := must(adapter.NewTokenSource(adapter.Credentials{
		AppID: teams.AppID(), TenantID: teams.TenantID(), Password: teams.AppPassword(), TokenURL: teams.TokenURL(),
	}))
	connector := must(adapter.NewConnector(adapter.ConnectorOptions{Tokens: tokens, Hosts: hosts}))
	id, idSecret, user, password := instance.Credentials()
	client := must(snow.NewClient(snow.ClientOptions{
		Instance: instance.URL(), ClientID: id, ClientSecret: idSecret, Username: user, Password: password,
	}))

	// The conversation. The handler is the bot while no agent is there, until it hands off or somebody asks for a person.
	b := must(bot.New(bot.Options{
		Store: kept, Teams: connector, ServiceNow: client, AppID: teams.AppID(), Rules: bot.Rules{Ticks: true},
		Handler: func(_ context.Context, a *adapter.Activity) ([]*adapter.Activity, error) {
			return []*adapter.Activity{{Type: adapter.TypeMessage, Text: "Have you tried turning it off and on again?"}}, nil
		},
	}))

	// The way in.
	verifier := must(adapter.NewVerifier(adapter.VerifierOptions{AppID: teams.AppID(), MetadataURL: teams.MetadataURL()}))
	messages := must(adapter.NewHandler(adapter.HandlerOptions{
		Verifier: verifier, AppID: teams.AppID(), Tenants: []string{teams.TenantID()}, Hosts: hosts,
		OnActivity: b.Activity, OnInvoke: b.Invoke,
	}))
	webhook := must(snow.NewWebhook(snow.WebhookOptions{Secrets: []string{secret}, Accept: b.ServiceNow}))
	mux := http.NewServeMux()
	mux.Handle("/api/messages", messages)
	mux.Handle("/api/v1/snowBot/receiveMessage", webhook)
	server := httptest.NewServer(mux)
	defer server.Close()

	// What goes on by itself, until it is told to stop. Then what is in hand is finished.
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 2)
	go func() { ended <- verifier.Run(running) }()
	go func() { ended <- b.Run(running) }()

	// Ada asks the bot, then for a person, and Sam answers.
	teams.SetBot(server.URL + "/api/messages")
	instance.SetWebhook(server.URL+"/api/v1/snowBot/receiveMessage", secret)
	ada := teams.AddUser(adaptertest.User{Name: "Ada", Email: "ada@example.com"})
	chat := teams.Personal(ada)
	must(chat.Say(ctx, ada, "My laptop is broken"))
	must(teams.WaitText(ctx, chat, "Have you tried turning it off and on again?"))
	must(chat.Say(ctx, ada, "I want to talk to a person"))
	waiting := must(instance.WaitChat(ctx, func(c snowtest.Chat) bool { return c.State == snowtest.StateQueued }))
	if err := instance.Accept(ctx, waiting.ID, "Sam Ortiz"); err != nil {
		panic(err)
	}
	must(instance.Say(ctx, waiting.ID, "Hello Ada, which model is it?"))
	must(instance.WaitChat(ctx, func(c snowtest.Chat) bool { // until it is shown in Teams
		return slices.ContainsFunc(c.Lines, func(l snowtest.Line) bool { return l.Receipt == snowtest.ReceiptSent })
	}))
	must(chat.Say(ctx, ada, "The small one"))
	line := must(instance.WaitLine(ctx, waiting.ID, "The small one"))
	fmt.Println(line.From, "to the agent:", line.Text)
	stop()
	fmt.Println(<-ended, <-ended)
	for _, m := range chat.Messages() {
		if m.Text == "Have you tried turning it off and on again?" || m.Text == "Hello Ada, which model is it?" {
			fmt.Println("to Ada:", m.Text)
		}
	}
	// Output:
	// user to the agent: The small one
	// <nil> <nil>
	// to Ada: Have you tried turning it off and on again?
	// to Ada: Hello Ada, which model is it?
}

// platforms starts emulations of Teams and of an instance.
func platforms() (*adaptertest.Channel, *snowtest.Instance) {
	return must(adaptertest.New(adaptertest.Options{})), must(snowtest.New(snowtest.Options{AgentNames: true}))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
