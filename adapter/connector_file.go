package adapter

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	opFile       = "file"
	fileTimeout  = time.Minute
	maxRedirects = 5
)

// Reasons why [Connector.FetchFile] has no file, wrapped in an [*Error].
var (
	// ErrFileGone means that the address serves no longer, or never did. Only the user can help, who may send the file again.
	ErrFileGone = errors.New("the file is not there any more")
	// ErrFileTooLarge means that the file has more bytes than asked for.
	ErrFileTooLarge = errors.New("the file is too large")
)

// FetchFile gets the file that ref tells of, of at most limit bytes, and its media type: what the server answered, or what the
// bytes look like when it did not know or called something a picture that is none. An empty file is a file.
//
// Only hosts that the [HostPolicy] allows are called, anew at each of at most five redirects, or the error has a [*HostError] within.
// The bot's token goes to the Connector's place for attachments and stays there; all else is called without. It
// takes as long as ctx allows, but no longer than a minute. Fetching changes nothing, so that it may be repeated after any failure:
// Written is false in each [*Error].
func (c *Connector) FetchFile(ctx context.Context, ref FileRef, limit int64) (data []byte, contentType string, err error) {
	ctx, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	if ref.URL == "" {
		return nil, "", &Error{Op: opFile, Err: ErrFileGone}
	}
	resp, err := c.openFile(ctx, ref)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	if err := c.fileRefused(resp, ref); err != nil {
		return nil, "", err
	}
	if data, err = readFile(resp, limit); err != nil {
		return nil, "", &Error{Op: opFile, Err: err}
	}
	contentType = typeOfFile(resp.Header.Get("Content-Type"), data, ref.Name)
	if ending := extension(ref.Name); contentType == contentTypeHTML && ending != "html" && ending != "htm" {
		return nil, "", &Error{Op: opFile, StatusCode: resp.StatusCode, Code: CodeNotConnector}
	}
	return data, contentType, nil
}

// openFile follows ref to the answer that is no redirect.
func (c *Connector) openFile(ctx context.Context, ref FileRef) (*http.Response, error) {
	from, err := c.hosts.check(ref.URL, isTokenHost, isFileHost)
	if err != nil {
		return nil, &Error{Op: opFile, Err: err}
	}
	withToken := ref.Token
	for at, n := from, 0; ; n++ {
		// A token that has left its host does not come back.
		withToken = withToken && at.Scheme == from.Scheme && at.Host == from.Host && c.isAttachment(at)
		resp, err := c.getFile(ctx, at, withToken)
		if err != nil || resp.StatusCode/100 != 3 {
			return resp, err
		}
		resp.Body.Close()
		if n == maxRedirects {
			return nil, &Error{Op: opFile, StatusCode: resp.StatusCode, Err: errors.New("too many redirects")}
		}
		next, err := at.Parse(resp.Header.Get("Location"))
		if err != nil || resp.Header.Get("Location") == "" {
			return nil, &Error{Op: opFile, StatusCode: resp.StatusCode, Err: errors.New("a redirect to nowhere")}
		}
		if at, err = c.hosts.check(next.String(), isTokenHost, isFileHost); err != nil {
			return nil, &Error{Op: opFile, StatusCode: resp.StatusCode, Err: err}
		}
	}
}

// isAttachment reports whether an address is where the Connector hands out attachments. With the bot's token everything else
// there would tell what only the bot may know, the members of its conversations for one, to whoever sent such an address.
func (c *Connector) isAttachment(u *url.URL) bool {
	_, after, found := strings.Cut(u.Path, "/v3/attachments/")
	return found && after != "" && !strings.Contains(u.Path, "..") && !strings.ContainsAny(u.Path, `\%`) &&
		c.hosts.CheckToken(u.String()) == nil
}

// getFile asks once, and with the token once more when a fresh one can be had after a refusal.
func (c *Connector) getFile(ctx context.Context, at *url.URL, withToken bool) (*http.Response, error) {
	if !withToken {
		return c.get(ctx, at, "")
	}
	token, err := c.token(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := c.get(ctx, at, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	resp.Body.Close()
	c.tokens.Forget(token)
	fresh, err := c.token(ctx)
	if err != nil {
		return nil, err
	}
	if fresh == token { // too early for another one
		return nil, &Error{Op: opToken, StatusCode: http.StatusUnauthorized, RetryAfter: forgetDelay, Err: errors.New("the token was refused again")}
	}
	return c.get(ctx, at, fresh)
}

func (c *Connector) get(ctx context.Context, at *url.URL, token string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), http.NoBody)
	if err != nil {
		return nil, &Error{Op: opFile, Err: errors.New("the address is not a URL")}
	}
	req.Header.Set("User-Agent", "snowbot")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &Error{Op: opFile, Err: safeCause(err)}
	}
	return resp, nil
}

// fileRefused describes an answer that has no file.
func (c *Connector) fileRefused(resp *http.Response, ref FileRef) error {
	e := &Error{Op: opFile, StatusCode: resp.StatusCode, RetryAfter: retryAfter(resp.Header, c.now())}
	switch encoding := resp.Header.Get("Content-Encoding"); resp.StatusCode {
	case http.StatusOK:
		if encoding == "" || strings.EqualFold(encoding, "identity") {
			return nil
		}
		e.Err = errors.New("an encoding that was not asked for") // gzip was, and has been undone
	case http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		e.Err = ErrFileGone
	case http.StatusUnauthorized:
		if !ref.Token { // the address itself is the permission, and has ended
			e.Err = ErrFileGone
		}
	}
	return e
}

// readFile reads an answer of at most limit bytes. What it says of its length is believed only when it says that it is too long.
func readFile(resp *http.Response, limit int64) ([]byte, error) {
	if resp.ContentLength > limit {
		return nil, ErrFileTooLarge
	}
	var b bytes.Buffer
	if resp.ContentLength > 0 {
		b.Grow(int(resp.ContentLength) + bytes.MinRead) // so that nothing is copied
	}
	_, err := b.ReadFrom(io.LimitReader(resp.Body, limit+1))
	switch {
	case int64(b.Len()) > limit:
		return nil, ErrFileTooLarge
	case err != nil:
		return nil, safeCause(err)
	}
	return b.Bytes(), nil
}
