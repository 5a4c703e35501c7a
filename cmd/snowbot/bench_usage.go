package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// A usage is what processes have used so far, as far as the operating system says it.
type usage struct {
	cpu      time.Duration // of the service, or of all replicas
	database time.Duration // of a private PostgreSQL
	peers    time.Duration // of the peers, generator included
	resident int64         // anonymous memory of the service, in bytes
	syncs    float64       // of the database
}

// usage reads what has been used.
func (s *benchStage) usage() usage {
	u := usage{}
	for _, service := range s.services() {
		pid := service.cmd.Process.Pid
		u.cpu += cpuOf(pid)
		u.resident += residentOf(pid)
		u.syncs += service.metric("snowbot_store_syncs_total")
	}
	if s.server != nil {
		u.database = s.server.CPU()
	}
	for _, p := range []*benchPeer{s.teams, s.now} {
		u.peers += cpuOf(p.cmd.Process.Pid)
	}
	return u
}

// clockTick is the unit of /proc/<pid>/stat, on all architectures of Linux that Go supports.
const clockTick = 10 * time.Millisecond

// cpuOf returns the processor time of a process, or 0 where there is no /proc.
func cpuOf(pid int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:])) // from the third one on
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick
}

// residentOf returns the anonymous memory of a process, or 0. A mapped file is not part of it: it is the kernel's to drop.
func residentOf(pid int) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "RssAnon:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}

// metric reads a metric of the service, or 0.
func (s *benchService) metric(name string) float64 {
	if s.at.Admin == "" {
		return 0
	}
	return metricOf("http://"+s.at.Admin+"/metrics", name)
}

// metricOf reads a metric, the sum over all its labels, or 0.
func metricOf(url, name string) (sum float64) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		line := lines.Text()
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == ' ' || rest[0] == '{') {
			n, _ := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			sum += n
		}
	}
	return sum
}
