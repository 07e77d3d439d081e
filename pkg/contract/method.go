package contract

import (
	"context"

	"google.golang.org/protobuf/proto"
)

// Endpoint is one HTTP address of a method: the path below /api/<Version>.0 and
// /ajax-api/<Version>.0, with parameters in braces as MLflow's protobufs spell them.
type Endpoint struct {
	Verb    string
	Path    string
	Version int
}

// Method is one natively answered remote procedure, ready to be called by anyone who holds an
// implementation of its service. The generated table Methods lists them all.
type Method struct {
	// Service and Name are the protobuf's, e.g. MlflowService and createExperiment.
	Service   string
	Name      string
	Endpoints []Endpoint
	Path      PathUse
	// NewRequest makes an empty request message.
	NewRequest func() proto.Message
	// Call passes the request to a service, which must implement the method's interface.
	Call func(ctx context.Context, service any, request proto.Message) (proto.Message, error)
}

// PathUse is what MLflow's handler of a method makes of the parameters in the method's path, which are
// fields of its request.
type PathUse int

const (
	// PathReplaces has them take the place of what the body says, once that has been judged.
	PathReplaces PathUse = iota
	// PathOnly is for handlers that read nothing else: no body, no query.
	PathOnly
	// PathIgnored is for handlers that go by the body.
	PathIgnored
)

// With returns the method with another use of its path.
func (m Method) With(use PathUse) Method {
	m.Path = use

	return m
}

// message is satisfied by *T when T is a generated message.
type message[T any] interface {
	*T
	proto.Message
}

// Unary describes a method of the service interface S. The generator calls it once per remote
// procedure with a method expression, so the compiler checks names and types.
func Unary[S any, Req, Res any, PReq message[Req], PRes message[Res]](
	service, name string,
	call func(S, context.Context, PReq) (PRes, error),
	endpoints ...Endpoint,
) Method {
	return Method{
		Service:    service,
		Name:       name,
		Endpoints:  endpoints,
		NewRequest: func() proto.Message { return PReq(new(Req)) },
		Call: func(ctx context.Context, implementation any, request proto.Message) (proto.Message, error) {
			//nolint:forcetypeassert // whoever calls took both from this table; a mismatch is a bug worth a panic
			response, err := call(implementation.(S), ctx, request.(PReq))
			if err != nil {
				return nil, err // not response: a typed nil would become a message
			}

			return response, nil
		},
	}
}
