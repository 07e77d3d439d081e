// Package proxy passes requests to MLflow's Python server and its answers back, byte for byte where
// a proxy may: method, path and query, Host, Origin, bodies of any size in both directions,
// server-sent events as they come, WebSockets. Every answer that comes from there carries
// "Via: 1.1 mlflow-go", which is how anyone tells it from a native one.
//
// Upstream goes through net/http's transport, since fasthttp's client buffers; towards the client
// it works on fasthttp's connection, which must come from a Listener of this package.
package proxy
