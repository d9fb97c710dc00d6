package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// object is the fields of a JSON object, each as it was written.
type object map[string]json.RawMessage

// parseObject reads exactly one JSON object that has no other fields than the
// known, and each at most once. The errors go on a sentence about the body.
func parseObject(body []byte, known ...string) (object, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("it is not UTF-8") // encoding/json would quietly replace those bytes
	}
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		return nil, noJSON(body, err)
	}
	if kind := kindOf(whole); kind != "an object" {
		return nil, errors.New("it is " + kind)
	}
	fields := make(object)
	d := json.NewDecoder(bytes.NewReader(whole))
	_, err := d.Token() // the brace
	for err == nil && d.More() {
		var name json.Token
		var value json.RawMessage
		if name, err = d.Token(); err == nil {
			err = d.Decode(&value)
		}
		if err == nil {
			err = fields.add(fmt.Sprint(name), value, known)
		}
	}
	return fields, err
}

func (o object) add(name string, value json.RawMessage, known []string) error {
	if !slices.Contains(known, name) {
		return fmt.Errorf("%q is none of its fields, which are %q", name, known)
	}
	if _, twice := o[name]; twice {
		return fmt.Errorf("%q stands in it twice", name)
	}
	o[name] = value
	return nil
}

// noJSON says in our words why json.Unmarshal refused a body.
func noJSON(body []byte, err error) error {
	var syntax *json.SyntaxError
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return errors.New("it is empty")
	case errors.As(err, &syntax) && syntax.Offset < int64(len(body)):
		return fmt.Errorf("it is no JSON from byte %d on", syntax.Offset)
	case body[0] == '{' || body[0] == '[' || body[0] == '"':
		return errors.New("it is no JSON, or ends too early")
	}
	return errors.New("it is no JSON")
}

// kindOf names what a JSON value is.
func kindOf(value json.RawMessage) string {
	switch value[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	}
	return "a number"
}

// has says whether the field is there; null is as good as absent.
func (o object) has(name string) bool {
	value, ok := o[name]
	return ok && kindOf(value) != "null"
}

// text returns a field that is a string, "" where it is absent.
func (o object) text(name string) (string, error) {
	if !o.has(name) {
		return "", nil
	}
	raw := o[name]
	if kind := kindOf(raw); kind != "a string" {
		return "", fmt.Errorf("%q must be a string, not %s", name, kind)
	}
	if loneSurrogate(raw) {
		return "", fmt.Errorf("%q holds half of a surrogate pair, which is no character", name)
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err
}

// truth returns a field that is true or false, false where it is absent.
func (o object) truth(name string) (bool, error) {
	if !o.has(name) {
		return false, nil
	}
	if kind := kindOf(o[name]); kind != "true or false" {
		return false, fmt.Errorf("%q must be true or false, not %s", name, kind)
	}
	return o[name][0] == 't', nil
}

// loneSurrogate looks for half a pair like \ud800 in a JSON string: encoding/json
// would quietly replace it by another character.
func loneSurrogate(raw []byte) bool {
	open := false // the first half of a pair has just been read
	for len(raw) > 0 {
		high, low, n := false, false, 1
		if raw[0] == '\\' {
			n = 2
			if raw[1] == 'u' { // valid JSON: four digits follow
				n = 6
				digits := strings.ToLower(string(raw[2:4]))
				high, low = digits >= "d8" && digits <= "db", digits >= "dc" && digits <= "df"
			}
		}
		if open != low {
			return true
		}
		open, raw = high, raw[n:]
	}
	return false
}

// value takes the value out of {"value": …}: a string's bytes, anything else's
// compact text; with "encoding":"base64" the bytes that the string stands for.
func (o object) value() ([]byte, error) {
	raw, ok := o["value"]
	if !ok {
		return nil, errors.New(`"value" is missing: the body must be {"value": …}`)
	}
	encoding, err := o.text("encoding")
	if err != nil {
		return nil, err
	}
	if kindOf(raw) != "a string" {
		if o.has("encoding") {
			return nil, errors.New(`"encoding" goes with a string only`)
		}
		var compact bytes.Buffer
		err := json.Compact(&compact, raw)
		return compact.Bytes(), err
	}
	text, err := o.text("value")
	switch {
	case err != nil:
		return nil, err
	case !o.has("encoding"):
		return []byte(text), nil
	case encoding != "base64":
		return nil, fmt.Errorf(`"encoding" can be "base64" only, not %q`, encoding)
	}
	value, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New(`"value" is not base64, which "encoding" says it is`)
	}
	return value, nil
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // what is shown here are strings, numbers and lists of them
	writeBody(w, status, "application/json", body.Bytes())
}

// writeBody answers with these bytes. Their number is told, to HEAD also.
func writeBody(w http.ResponseWriter, status int, kind string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", fmt.Sprint(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error means that the client is gone
}

func writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, errorJSON{text})
}

type errorJSON struct {
	Error string `json:"error"`
}
