package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"unicode/utf8"
)

// jsonValue takes the value out of {"value": …}: a string's bytes, anything
// else's compact text; with "encoding":"base64" the bytes that the string stands for.
func jsonValue(body []byte) ([]byte, error) {
	var in struct {
		Value    json.RawMessage `json:"value"`
		Encoding *string         `json:"encoding"`
	}
	if err := decode(body, &in); err != nil {
		return nil, fmt.Errorf("the body must be {\"value\": …} in JSON (or raw bytes as Content-Type application/octet-stream): %w", err)
	}
	if in.Value == nil {
		return nil, errors.New(`"value" is missing: the body must be {"value": …}`)
	}
	if in.Value[0] != '"' {
		if in.Encoding != nil {
			return nil, errors.New(`"encoding" goes with a string only`)
		}
		var compact bytes.Buffer
		err := json.Compact(&compact, in.Value)
		return compact.Bytes(), err
	}
	var text string
	if err := json.Unmarshal(in.Value, &text); err != nil {
		return nil, err
	}
	switch {
	case in.Encoding == nil:
		return []byte(text), nil
	case *in.Encoding != "base64":
		return nil, fmt.Errorf(`"encoding" can be "base64" only, not %q`, *in.Encoding)
	}
	value, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New(`"value" is not base64, which "encoding" says it is`)
	}
	return value, nil
}

// decode reads exactly one JSON value without unknown fields. Bytes that are no
// UTF-8 are refused: encoding/json would quietly replace them.
func decode(body []byte, into any) error {
	if !utf8.Valid(body) {
		return errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("it is empty")
		}
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows behind it")
	}
	return nil
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(v) // an error means that the client is gone
}

func writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, struct {
		Error string `json:"error"`
	}{text})
}

func tooLarge(w http.ResponseWriter, bound int64) {
	writeError(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the value is too large: at most %d bytes are allowed", bound))
}

func isTooLarge(err error) bool {
	var e *http.MaxBytesError
	return errors.As(err, &e)
}
