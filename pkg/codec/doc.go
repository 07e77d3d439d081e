// Package codec turns MLflow's JSON into messages and messages into MLflow's JSON.
//
// The wire format is what MLflow 3.17.2's Python makes of google.protobuf.json_format, Python's
// json module and its own corrections, not protojson: snake_case names, int64 as numbers, floats
// as Python's repr, ASCII only, indented by two. Requests are read as leniently as Python reads
// them.
//
// There are two ways through the package. Code generated from the descriptors
// (messages.gen.go) handles what clients usually send and everything that the native methods
// answer, without reflection. Whatever it finds unusual in a request is left to the slow way:
// json.loads (reader.go), then ParseDict (parse.go), both mirrored to the letter. The slow way
// is the definition; the fast one must agree with it or decline, and the tests hold it to that.
package codec
