package adaptertest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"snowbot/adapter/adaptertest"
)

// A person writes, the bot is slow to answer, and Teams' first try to deliver is lost on its way.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	teams, err := adaptertest.New(adaptertest.Options{})
	if err != nil {
		panic(err)
	}
	defer teams.Close()

	// In place of a bot: one that takes every activity and does not look at its token.
	bot := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer bot.Close()
	teams.SetBot(bot.URL + "/api/messages")

	ada := teams.AddUser(adaptertest.User{Name: "Ada"})
	chat := teams.Personal(ada)
	teams.AddFault(adaptertest.Fault{Kind: adaptertest.ResetAfterEffect, Direction: adaptertest.Out, Times: 1})

	posted, err := chat.Say(ctx, ada, "hello")
	fmt.Println(err)
	posted, err = chat.Repeat(ctx, posted) // as Teams does; the bot has it twice now
	fmt.Println(posted.Status, err)
	for _, e := range teams.Log() {
		fmt.Println(e)
	}
	// Output:
	// the bot's answer did not arrive: dropped on its way back
	// 200 <nil>
	// 1 out POST /api/messages -> 0 reset after effect
	// 2 out POST /api/messages -> 200
}
