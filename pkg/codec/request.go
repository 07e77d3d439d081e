package codec

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// ErrMalformed is the ParseError of a body that isn't JSON at all. MLflow treats such a body as
// an empty object that was parsed without error, so schemas must not judge types on it.
var ErrMalformed = errors.New("request body is not valid JSON")

// Request is a decoded HTTP request (mlflow.server.handlers._get_request_message).
//
// It may refer to the bytes it was decoded from: keep neither longer than the HTTP request.
// Message owns its memory.
type Request struct {
	Message proto.Message
	// Raw is what was sent: the JSON object, or the query's values as MLflow makes JSON of them.
	// It is parsed only when asked for.
	Raw *Raw
	// ParseError says why json_format.ParseDict would have failed, or is ErrMalformed. Message may
	// then be half filled.
	ParseError error
	// Regular means that every member was spelled by its proto name, once, not null, not an empty
	// list, and of the field's own type: Message then says all that Raw could.
	Regular bool
}

// IsMalformed tells of a body that isn't JSON at all, which MLflow takes for an empty object.
func (r *Request) IsMalformed() bool { return errors.Is(r.ParseError, ErrMalformed) }

// DecodeBody reads a JSON body into m, which must be empty. The error is one that a client is to
// see: a field spelled in two ways, or a body that is JSON but no object.
func DecodeBody(body []byte, m proto.Message) (*Request, error) {
	d := &decoded{}
	d.Message, d.Raw = m, &d.raw

	switch decodeRegular(body, m, decodeGenerated) {
	case regular:
		d.raw.source = body
		d.Regular = true

		return &d.Request, nil
	case lenient:
		d.raw.source = body

		return &d.Request, nil
	case declined:
		proto.Reset(m)
	}

	raw, err := parseObject(body)
	switch {
	case errors.Is(err, ErrMalformed):
		d.ParseError = err

		return &d.Request, nil
	case err != nil:
		return nil, err
	}

	d.Raw = raw

	return &d.Request, d.parse()
}

// DecodeQuery reads the arguments of a GET into m, which must be empty. Only proto names count;
// of a scalar's values the first wins. Without any argument (see HasArguments) MLflow reads the
// body instead.
func DecodeQuery(rawQuery []byte, m proto.Message) (*Request, error) {
	d := &decoded{}
	d.Message, d.Raw = m, &d.raw
	d.Regular = true

	arguments := parseQuery(string(rawQuery))
	fields := m.ProtoReflect().Descriptor().Fields()

	for i := range fields.Len() {
		field := fields.Get(i)
		name := string(field.Name())

		values := arguments[name]
		if len(values) == 0 {
			continue
		}

		if field.Kind() != protoreflect.StringKind && field.Kind() != protoreflect.BoolKind {
			d.Regular = false
		}

		value, err := argument(field, values)
		if err != nil {
			return nil, err
		}

		d.raw.Set(name, value)
	}

	return &d.Request, d.parse()
}

// HasArguments says whether a query has any argument (flask.Request.args being non-empty).
func HasArguments(rawQuery []byte) bool {
	for _, c := range rawQuery {
		if c != '&' {
			return true
		}
	}

	return false
}

// decoded is a request and its raw object in one allocation.
type decoded struct {
	Request

	raw Raw
}

// parse fills the message from Raw as _get_request_message does.
func (d *decoded) parse() error {
	message := d.Message.ProtoReflect()
	if err := rejectConflictingAliases(d.Raw, message.Descriptor()); err != nil {
		return err
	}

	d.ParseError = parseDict(d.Raw, message)
	d.Regular = d.Regular && d.ParseError == nil

	return nil
}

// parseObject reads a body as _get_normalized_request_json does: once more when it is a string
// (old clients encode twice), and as an empty object when there is none.
func parseObject(body []byte) (*Raw, error) {
	text, ok := decodeText(body)
	if !ok {
		return nil, fmt.Errorf("%w: invalid text encoding", ErrMalformed)
	}

	if strings.Trim(text, jsonSpace) == "" {
		return &Raw{}, nil
	}

	value, err := loads(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}

	if encoded, ok := value.(string); ok {
		if value, err = loads(encoded); err != nil {
			return nil, contract.Errorf(protos.ErrorCode_BAD_REQUEST,
				"Request body must be a JSON object, got a string that holds no JSON: %v.", err)
		}
	}

	switch value := value.(type) {
	case nil:
		return &Raw{}, nil
	case *Raw:
		return value, nil
	default:
		return nil, contract.Errorf(protos.ErrorCode_BAD_REQUEST,
			"Request body must be a JSON object, got %s.", typeName(value))
	}
}

// argument makes JSON of a query argument.
func argument(field protoreflect.FieldDescriptor, values []string) (any, error) {
	if field.Cardinality() == protoreflect.Repeated {
		list := make([]any, len(values))
		for i, value := range values {
			list[i] = value
		}

		return list, nil
	}

	if field.Kind() != protoreflect.BoolKind {
		return values[0], nil
	}

	switch strings.ToLower(values[0]) {
	case jsonTrue:
		return true, nil
	case jsonFalse:
		return false, nil
	default:
		return nil, contract.InvalidParameter(
			"Invalid boolean value: %s, must be 'true' or 'false'.", values[0])
	}
}

// rejectConflictingAliases refuses an object that spells one field in two ways
// (_reject_conflicting_field_aliases).
func rejectConflictingAliases(value any, message protoreflect.MessageDescriptor) error {
	object, ok := value.(*Raw)
	if !ok {
		return nil
	}

	fields := message.Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		name, jsonName := string(field.Name()), field.JSONName()

		item, present := object.Get(name)
		if name != jsonName {
			alias, both := object.Get(jsonName)
			if both && present {
				return contract.InvalidParameter(
					"Request specifies both '%s' and '%s'; provide only one of them.", name, jsonName)
			}

			if !present {
				item = alias
			}
		}

		nested := field.Message()
		if nested == nil || field.IsMap() || wellKnown(nested) {
			continue // keys of maps and well-known types are the caller's, not fields
		}

		items, ok := item.([]any)
		if !ok {
			items = []any{item}
		}

		for _, item := range items {
			if err := rejectConflictingAliases(item, nested); err != nil {
				return err
			}
		}
	}

	return nil
}

func wellKnown(message protoreflect.MessageDescriptor) bool {
	return strings.HasPrefix(string(message.FullName()), "google.protobuf.")
}
