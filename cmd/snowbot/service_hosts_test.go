package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snowbot/snow/snowtest"
)

// TestServiceBelievesHostsThatAreConfigured: Teams has hosts that are not documented, in China's cloud for one. Who runs the bot can name them.
func TestServiceBelievesHostsThatAreConfigured(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "snowbot.yaml")
	if err := os.WriteFile(path, []byte("hosts: [teams.example.com]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, snowtest.Options{}, "SNOWBOT_CONFIG="+path)
	said, err := r.chat.Say(r.within(), r.mia, "hello")
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]int{
		"https://smba.teams.example.com/": http.StatusOK, // the same activity again
		"https://teams.example.com.evil/": http.StatusForbidden,
		"http://smba.teams.example.com/":  http.StatusForbidden,
	} {
		body := strings.Replace(string(said.Activity()), r.teams.ServiceURL(), address, 1)
		if status, _, err := r.teams.PostRaw(r.within(), []byte(body), "Bearer "+r.teams.Token(address)); err != nil || status != want {
			t.Errorf("service URL %s: status %d, %v, want %d", address, status, err, want)
		}
	}
}

func TestConfiguredHostsAreNames(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"cn", `""`, "https://teams.example.com/", "127.0.0.1", "trafficmanager.net", "trafficmanager.cn", "usgovtrafficmanager.net", "a..b", "teams.example.com:443"} {
		path := filepath.Join(t.TempDir(), "snowbot.yaml")
		if err := os.WriteFile(path, []byte("hosts: ["+host+"]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readConfig(path); err == nil || !strings.Contains(err.Error(), "hosts") {
			t.Errorf("%s: %v, want a refusal", host, err)
		}
	}
}
