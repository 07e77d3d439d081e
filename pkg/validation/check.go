package validation

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-playground/validator/v10"
	"google.golang.org/protobuf/proto"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
)

// A procedure names a remote procedure: service and name as the protobuf spells them.
type procedure struct {
	service, name string
}

// A schema is what a handler passes to _get_request_message.
type schema []parameter

// A parameter is a member of the request and what is asked of it.
type parameter struct {
	name     string
	required bool
	checks   []check
}

// A check is one tag of a parameter.
type check struct {
	tag      string // as in the schema, with the argument
	name     string
	argument string
	ofType   bool
}

// A messageRule holds validator tags by field of a message.
type messageRule struct {
	message proto.Message
	rules   map[string]string
}

// presentTag is also the one that makes MLflow look at a parameter that was not sent.
const presentTag = "present"

// newParameter reads the comma-separated checks of a schema.
func newParameter(name, tags string) parameter {
	p := parameter{name: name}
	for tag := range strings.SplitSeq(tags, ",") {
		c := check{tag: tag, ofType: typeTags[tag]}
		c.name, c.argument, _ = strings.Cut(tag, "=")
		p.checks = append(p.checks, c)
		p.required = p.required || c.name == presentTag
	}

	return p
}

// validate runs all checks: those of messages by their rules, those of raw values by name.
var validate = func() *validator.Validate {
	v := newValidator()
	for _, rule := range messageRules {
		v.RegisterStructValidationMapRules(rule.rules, rule.message)
	}

	return v
}()

// readThemselves are the procedures whose handlers read from the query what the message can't hold; the
// rest of it is sound once the schema is satisfied.
var readThemselves = map[procedure]bool{
	{"MlflowService", "getMetricHistoryBulkInterval"}: true, //nolint:goconst // as in the generated table
}

// Check judges the request of a native method as MLflow's handler does. The error is MLflow's
// INVALID_PARAMETER_VALUE; a request that MLflow would go on with although it could not be parsed
// is refused with the same code.
func Check(method contract.Method, request *codec.Request) error {
	if request.Regular && validate.Struct(request.Message) == nil {
		return nil
	}
	if err := checkRaw(schemas[procedure{method.Service, method.Name}], request); err != nil {
		return err
	}
	if request.ParseError != nil && !readThemselves[procedure{method.Service, method.Name}] {
		return contract.InvalidParameter("Cannot read the request: %s.", request.ParseError)
	}

	return nil
}

// checkRaw walks the values as they were sent (_validate_request_json_with_schema).
func checkRaw(s schema, request *codec.Request) error {
	// A body that isn't JSON is an empty object to MLflow, parsed without error.
	parsed := request.ParseError == nil || errors.Is(request.ParseError, codec.ErrMalformed)
	for _, p := range s {
		value, sent := request.Raw.Get(p.name)
		if !sent && !p.required {
			continue
		}
		if p.name == "run_id" && value == nil {
			value, _ = request.Raw.Get("run_uuid")
		}
		if err := p.check(value, parsed); err != nil {
			return err
		}
	}

	return nil
}

// check mirrors _validate_param_against_schema.
func (p parameter) check(value any, parsed bool) error {
	checked := plain(value)
	for _, c := range p.checks {
		if c.ofType && parsed {
			continue
		}
		if err := validate.Var(checked, c.tag); err == nil {
			continue
		}

		return contract.InvalidParameter("%s See the API docs for more information about request parameters.",
			p.complaint(c, value, checked))
	}

	return nil
}

// complaint says what is wrong with a value, also given as checked, that failed a check.
func (p parameter) complaint(c check, value, checked any) string {
	switch c.name {
	case presentTag:
		return missingValue(p.name)
	case betweenTag:
		least, most, _ := strings.Cut(c.argument, " ")

		return fmt.Sprintf("%s must be between %s and %s.", p.name, least, most)
	case runsAtMostTag:
		runs, _ := checked.([]any)

		return fmt.Sprintf("GetMetricHistoryBulkInterval request must specify at most %s %s. Received %d %s.",
			c.argument, p.name, len(runs), p.name)
	case elementsHaveTag:
		if index, member, found := firstLack(checked, c.argument); found {
			return missingValue(fmt.Sprintf("%s[%d].%s", p.name, index, member))
		}
	}

	return invalidValue(p.name, value)
}
