package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Standby makes a streaming standby of a private server and starts it. From then on a commit of the server is answered when
// the standby has it too.
func (s *Server) Standby() (*Server, error) {
	if s.bin == "" {
		return nil, errors.New("a server that is not ours gets no standby")
	}
	dir, err := os.MkdirTemp("", "snowbot-standby-")
	if err != nil {
		return nil, err
	}
	b := &Server{bin: s.bin, dir: dir, who: s.who, ca: s.ca}
	if err := b.follow(s); err != nil {
		b.Stop()
		return nil, err
	}
	return b, nil
}

// follow copies the data of a server, and starts from there.
func (s *Server) follow(primary *Server) error {
	if s.who != nil {
		if err := os.Chown(s.dir, int(s.who.Uid), int(s.who.Gid)); err != nil {
			return err
		}
	}
	from, err := url.Parse(primary.url)
	if err != nil {
		return err
	}
	if err := s.run("pg_basebackup", "-D", s.data(), "-h", from.Hostname(), "-p", from.Port(), "-U", "admin", "-R", "-c", "fast", "--no-sync"); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	if err := s.configure(fmt.Sprintf("port = %d\nunix_socket_directories = '%s'\n", port, s.dir)); err != nil {
		return err
	}
	s.url = strings.Replace(primary.url, from.Host, "127.0.0.1:"+strconv.Itoa(port), 1)
	if err := s.Up(); err != nil {
		return err
	}
	return primary.awaitStandby()
}

// awaitStandby has commits wait for the standby, and returns when it streams.
func (s *Server) awaitStandby() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := s.admin(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if err := setStandbys(ctx, conn, "*"); err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		n := 0
		err := conn.QueryRow(ctx, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'sync'").Scan(&n)
		if err != nil || n > 0 {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("the standby does not stream")
		}
	}
}

// admin connects as who may do everything.
func (s *Server) admin(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, strings.Replace(s.url, "//snowbot@", "//admin@", 1))
}

func setStandbys(ctx context.Context, conn *pgx.Conn, name string) error {
	_, err := conn.Exec(ctx, "ALTER SYSTEM SET synchronous_standby_names = '"+name+"'")
	if err == nil {
		_, err = conn.Exec(ctx, "SELECT pg_reload_conf()")
	}
	return err
}

// LoseStandby has the commits of a private server wait for a standby that is not there. It returns when they do.
func (s *Server) LoseStandby(ctx context.Context) error {
	conn, err := s.admin(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := setStandbys(ctx, conn, "lost"); err != nil {
		return err
	}
	for { // until a commit of ours hangs
		probe, err := s.admin(ctx)
		if err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		_, err = probe.Exec(limited, "SELECT pg_logical_emit_message(true, 'probe', '')")
		cancel()
		_ = probe.Close(context.WithoutCancel(ctx))
		if err != nil {
			return ctx.Err()
		}
	}
}

// CutShort ends the connections whose commits wait for a standby, and returns how many there were. The server keeps what they
// have committed.
func (s *Server) CutShort(ctx context.Context) (int64, error) {
	conn, err := s.admin(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return cutShort(ctx, conn)
}

func cutShort(ctx context.Context, conn *pgx.Conn) (int64, error) {
	tag, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
	return tag.RowsAffected(), err
}

// FindStandby lets the commits that wait for a standby go on.
func (s *Server) FindStandby(ctx context.Context) error {
	conn, err := s.admin(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return setStandbys(ctx, conn, "")
}

// URLWith is that of the database on whichever of two servers takes changes.
func (s *Server) URLWith(standby *Server) (string, error) {
	both, err := url.Parse(s.url)
	if err != nil {
		return "", err
	}
	other, err := url.Parse(standby.url)
	if err != nil {
		return "", err
	}
	both.Host += "," + other.Host
	q := both.Query()
	q.Set("target_session_attrs", "read-write")
	both.RawQuery = q.Encode()
	return both.String(), nil
}

// Promote makes a standby a server that takes changes, and waits until it does.
func (s *Server) Promote() error { return s.run("pg_ctl", "-D", s.data(), "-w", "promote") }

// Kill ends a private server as the loss of its machine would: all its processes are killed at once.
func (s *Server) Kill() error {
	pids, err := s.processes()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// processes are the server's, the one that starts the others first.
func (s *Server) processes() ([]int, error) {
	file, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(string(file), "\n")
	first, err := strconv.Atoi(line)
	if err != nil {
		return nil, err
	}
	all := []int{first}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == line {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
				all = append(all, pid)
			}
		}
	}
	return all, nil
}
