// Package ssrf keeps requests that clients can send our server on, such as webhooks, away from the
// network that only the server sees (mlflow.webhooks.ssrf and the URL rules in
// mlflow.utils.validation).
//
// A URL is judged twice: when it is stored, for the client to be told, and for each connection,
// which is what counts. A connection is made to an address that was judged, never to a name that is
// resolved once more, and the socket's own peer is looked at before anything is sent.
package ssrf
