package httpapi

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
)

const (
	octetStream = "application/octet-stream"
	// jsonSlack is what a JSON body may have beside the value.
	jsonSlack = 4096
	// jsonGrowth is how many bytes JSON can need for one: \u0000.
	jsonGrowth = 6
)

// form is how the body of a PUT says what to store.
type form int

const (
	asJSON  form = iota // {"value": …}
	asBytes             // the body itself
	asSeen              // JSON if it is exactly such an object, else the body itself
)

// formOf follows from the Content-Type. curl -d says x-www-form-urlencoded when it
// is told nothing, and takes line ends out of files: that is JSON, or a mistake.
// curl -T and most libraries say nothing at all.
func formOf(r *http.Request) (form, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		kind = "" // a header that cannot be read is no header
	}
	switch {
	case kind == "":
		return asSeen, nil
	case kind == "application/json", kind == "application/x-www-form-urlencoded":
		return asJSON, nil
	case strings.HasPrefix(kind, "multipart/"):
		return 0, errors.New("forms are not taken apart: send the bytes themselves (curl -T FILE), or {\"value\": …} as application/json")
	}
	return asBytes, nil
}

// readValue reads the value to store under key from the request's body. Where it
// cannot, it writes the response itself.
func (s *Server) readValue(w http.ResponseWriter, r *http.Request, key string) (value []byte, ok bool) {
	f, err := formOf(r)
	if err == nil {
		err = codedBody(r)
	}
	if err != nil {
		writeError(w, http.StatusUnsupportedMediaType, err.Error())
		return nil, false
	}
	largest := s.MaxValue(len(key))
	bound := largest
	if f != asBytes {
		bound = jsonGrowth*largest + jsonSlack
	}
	body, err := readBody(w, r, bound)
	if err == nil {
		value, err = parseValue(f, body, bodyless(r))
	}
	switch {
	case isTooLarge(err), err == nil && int64(len(value)) > largest:
		tooLarge(w, largest)
	case err != nil:
		refuseBody(w, err)
	default:
		return value, true
	}
	return nil, false
}

// codedBody refuses a body that would have to be unpacked first.
func codedBody(r *http.Request) error {
	if c := r.Header.Get("Content-Encoding"); c != "" && !strings.EqualFold(c, "identity") {
		return fmt.Errorf("Content-Encoding %s is not understood: send the body as it is", c)
	}
	return nil
}

// bodyless says that the client sent no body, as opposed to an empty one.
func bodyless(r *http.Request) bool {
	return r.Header.Get("Content-Length") == "" && len(r.TransferEncoding) == 0
}

// parseValue takes the value out of a body.
func parseValue(f form, body []byte, bodyless bool) ([]byte, error) {
	if f == asBytes && !bodyless {
		return body, nil
	}
	if bodyless {
		return nil, errors.New(`the body is missing: send {"value": …} in JSON, or bytes (curl -T FILE)`)
	}
	fields, err := parseObject(body, "value", "encoding")
	if _, has := fields["value"]; f == asSeen && (err != nil || !has) {
		return body, nil
	}
	if err != nil {
		return nil, fmt.Errorf(`the body must be {"value": …} in JSON (other bytes as Content-Type %s, or by curl -T FILE): %w`, octetStream, err)
	}
	return fields.value()
}

// readBody reads at most bound bytes; isTooLarge tells that there are more.
func readBody(w http.ResponseWriter, r *http.Request, bound int64) ([]byte, error) {
	if r.ContentLength > bound {
		return nil, &http.MaxBytesError{Limit: bound}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bound))
	switch {
	case errors.Is(err, errBusy):
		return nil, err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("the body ends before its announced length")
	case err != nil && !isTooLarge(err) && !errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("the body could not be read: %w", err)
	}
	return body, err
}

// refuseBody answers a body that readBody or its reader did not take.
func refuseBody(w http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, errBusy):
		noLeader(w, err.Error())
	case errors.As(err, &large):
		writeError(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is too large: at most %d bytes are taken", large.Limit))
	case errors.Is(err, os.ErrDeadlineExceeded):
		writeError(w, http.StatusRequestTimeout, "the body took too long to come")
	default:
		writeError(w, http.StatusBadRequest, err.Error())
	}
}

// tooLarge is the answer to every value above the bound.
func tooLarge(w http.ResponseWriter, bound int64) {
	writeError(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the value is too large: at most %d bytes fit under this key", bound))
}

func isTooLarge(err error) bool {
	var e *http.MaxBytesError
	return errors.As(err, &e)
}
